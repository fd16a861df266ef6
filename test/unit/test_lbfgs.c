/*
 * test_lbfgs.c
 *		L-BFGS on functions whose minimum is known, and the conditions that every
 *		step must meet (Nocedal & Wright 2006, equation 3.7).
 */
#include "check.h"
#include "num/lbfgs.h"

#define N 50

typedef double (*Function) (int n, const double *x, double *gradient);

/* Rosenbrock 1960: minimum 0 at (1, 1), along a bent valley */
static double
rosenbrock(int n, const double *x, double *gradient)
{
	double		a = x[1] - x[0] * x[0];
	double		b = 1 - x[0];

	gradient[0] = -400 * x[0] * a - 2 * b;
	gradient[1] = 200 * a;
	return 100 * a * a + b * b;
}

/* curvatures from 1 to 1e4, minimum at 1, 2, 3... */
static double
quadratic(int n, const double *x, double *gradient)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		double		curvature = pow(10, 4.0 * i / (n - 1));

		gradient[i] = curvature * (x[i] - i - 1);
		sum += curvature / 2 * (x[i] - i - 1) * (x[i] - i - 1);
	}
	return sum;
}

/* x - log x: not there below 0, minimum at 1 */
static double
barrier(int n, const double *x, double *gradient)
{
	gradient[0] = 1 - 1 / x[0];
	return x[0] > 0 ? x[0] - log(x[0]) : NAN;
}

/* evaluations until the gradient is small, or 0; wolfe: did every step meet the conditions? */
static int
minimise(MlLbfgs *l, Function f, double tolerance, bool *wolfe)
{
	double		gradient[N];

	*wolfe = true;
	for (int n = 1; n < 1000; n++)
	{
		double		before = l->value;
		double		slope = l->steps > 0 ? l->slope : 0;
		double		after = 0;
		double		step = l->step;
		double		direction[N];
		double		most = 0;
		double		value = f(l->n, l->x, gradient);

		for (int i = 0; i < l->n; i++)
			direction[i] = l->direction[i];
		if (ml_lbfgs_take(l, value, gradient) == ML_LBFGS_SEARCHES)
			continue;
		for (int i = 0; i < l->n; i++)
		{
			most = fmax(most, fabs(l->gradient[i]));
			after += gradient[i] * direction[i];
		}
		if (l->steps > 1 && most > tolerance)
			*wolfe &= value <= before + 1e-4 * step * slope && fabs(after) <= 0.9 * fabs(slope);
		if (most <= tolerance)
			return n;
	}
	return 0;
}

int
main(void)
{
	double		memory[N * (4 + 2 * ML_LBFGS_PAIRS)];
	double		curvature[N];
	MlLbfgs		l = {.n = 2, .memory = memory, .curvature = curvature};
	bool		wolfe;
	int			plain;
	int			scaled;
	double		error = 0;

	check(ml_lbfgs_memory(N) == sizeof(memory) / sizeof(double), "memory");
	for (int i = 0; i < N; i++)
		curvature[i] = 1;
	ml_lbfgs_begin(&l);
	l.x[0] = -1.2;
	l.x[1] = 1;
	check(minimise(&l, rosenbrock, 1e-10, &wolfe) > 0, "Rosenbrock's function");
	check(wolfe, "every step of it meets the strong Wolfe conditions");
	check_close(l.accepted[0], 1, 1e-9, "first coordinate");
	check_close(l.accepted[1], 1, 1e-9, "second coordinate");

	l.n = N;
	ml_lbfgs_begin(&l);
	for (int i = 0; i < N; i++)
		l.x[i] = 0;
	plain = minimise(&l, quadratic, 1e-6, &wolfe);
	check(plain > 0 && wolfe, "fifty variables of curvatures 1 to 1e4");
	for (int i = 0; i < N; i++)
		error = fmax(error, fabs(l.accepted[i] - i - 1));
	check(error < 1e-5, "where their minimum is");

	for (int i = 0; i < N; i++)
		curvature[i] = pow(10, 4.0 * i / (N - 1));
	ml_lbfgs_begin(&l);
	for (int i = 0; i < N; i++)
		l.x[i] = 0;
	scaled = minimise(&l, quadratic, 1e-6, &wolfe);
	check(scaled > 0 && scaled <= 5 && scaled < plain, "with the curvatures known a few steps do");

	curvature[7] = 0;
	ml_lbfgs_begin(&l);
	for (int i = 0; i < N; i++)
		l.x[i] = 0.5;
	for (int i = 0; i < 5; i++)
	{
		double		gradient[N];
		double		value = quadratic(N, l.x, gradient);

		ml_lbfgs_take(&l, value, gradient);
	}
	check(l.accepted[7] == 0.5, "a variable without curvature stays");
	check_close(l.accepted[8], 9, 1e-9, "and the others do not");

	l.n = 1;
	curvature[0] = 1e-3;
	ml_lbfgs_begin(&l);
	l.x[0] = 2;
	check(minimise(&l, barrier, 1e-10, &wolfe) > 0 && wolfe, "a step to where there is no value is taken back");
	check_close(l.accepted[0], 1, 1e-9, "and the minimum found");
	for (int i = 0; i < 50; i++)
	{
		double		gradient[N];
		double		value = barrier(1, l.x, gradient);

		if (ml_lbfgs_take(&l, value, gradient) == ML_LBFGS_STALLED)
			break;
		error = i;
	}
	check(error < 49, "at the minimum it stalls");
	return checks_done();
}
