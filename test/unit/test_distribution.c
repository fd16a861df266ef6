/*
 * test_distribution.c
 *		Tail probabilities against closed forms and published tables: exact
 *		where a distribution has a formula, and far out in the tails.
 */
#include "check.h"
#include "num/distribution.h"

#define PI 3.14159265358979323846

static void
test_normal(void)
{
	check_close(ml_normal_two_sided(0), 1, 0, "normal: z = 0");
	check_close(ml_normal_two_sided(1.959963984540054), 0.05, 1e-13, "normal: the 5 % point");
	check_close(ml_normal_two_sided(-2.5758293035489004), 0.01, 1e-13, "normal: the 1 % point, negative");

	/* erfc(26) = 5.663192408856142846e-296: DLMF 7.12.1 summed to 20 digits */
	check_close(ml_normal_two_sided(26 * sqrt(2.0)), 5.663192408856142846e-296, 1e-12, "normal: near 1e-296");
	check_close(ml_normal_two_sided(40), 0, 0, "normal: 0 where no double is small enough");
	check(isnan(ml_normal_two_sided(NAN)), "normal: NaN");
}

/* one degree of freedom is Cauchy, two have an algebraic tail */
static double
t1(double t)
{
	return 2 / PI * atan(1 / t);
}

static double
t2(double t)
{
	double		root = sqrt(2 + t * t);

	return 2 / (root * (root + t));
}

static void
test_t(void)
{
	const double points[] = {0.01, 0.5, 1, 3, 50, 1e6, 1e100, 1e140};
	char		name[80];

	for (int i = 0; i < (int) (sizeof(points) / sizeof(points[0])); i++)
	{
		snprintf(name, sizeof(name), "t: 1 degree of freedom at %g", points[i]);
		check_close(ml_t_two_sided(points[i], 1), t1(points[i]), 1e-12, name);
		snprintf(name, sizeof(name), "t: 2 degrees of freedom at %g", points[i]);
		check_close(ml_t_two_sided(-points[i], 2), t2(points[i]), 1e-12, name);
	}
	check_close(ml_t_two_sided(1e250, 1), 2 / PI * 1e-250, 1e-10, "t: where t^2 overflows");

	/* table 26.10 of Abramowitz & Stegun, with more digits */
	check_close(ml_t_two_sided(2.2281388519862747, 10), 0.05, 1e-12, "t: 10 degrees of freedom, 5 %");
	check_close(ml_t_two_sided(3.6459586350420217, 30), 0.001, 1e-12, "t: 30 degrees of freedom, 0.1 %");

	/* Cornish-Fisher: for many degrees of freedom the normal, and t^3 phi / (2 df) more */
	check_close(ml_t_two_sided(1.959963984540054, 1e8), 0.05, 2e-7, "t: many degrees of freedom");
	check_close(ml_t_two_sided(0, 7), 1, 0, "t: 0");
	check_close(ml_t_two_sided(INFINITY, 7), 0, 0, "t: infinity");
	check(isnan(ml_t_two_sided(1, 0)), "t: no degrees of freedom");
}

static void
test_f(void)
{
	char		name[80];

	/* 2 numerator degrees: (1 + 2 f / n)^(-n / 2); 2 in the denominator: the mirror image */
	for (int i = 0; i < 6; i++)
	{
		static const double f[] = {0.1, 1, 4, 100, 3000, 1e10};
		static const double n[] = {3, 10, 1000, 250, 1e5, 40};

		snprintf(name, sizeof(name), "F: 2 and %g degrees of freedom at %g", n[i], f[i]);
		check_close(ml_f_upper(f[i], 2, n[i]), exp(-n[i] / 2 * log1p(2 * f[i] / n[i])), 1e-9, name);
		snprintf(name, sizeof(name), "F: %g and 2 degrees of freedom at %g", n[i], 1 / f[i]);
		check_close(ml_f_upper(1 / f[i], n[i], 2), -expm1(-n[i] / 2 * log1p(2 * f[i] / n[i])), 1e-9, name);
	}
	check_close(ml_f_upper(3.7 * 3.7, 1, 12), ml_t_two_sided(3.7, 12), 1e-13, "F: 1 numerator degree is t squared");
	check_close(ml_f_upper(2.9782370160823212, 10, 10), 0.05, 1e-12, "F: 10 and 10 degrees of freedom, 5 %");
	check_close(ml_f_upper(0, 3, 4), 1, 0, "F: 0");
}

static void
test_chi_square(void)
{
	char		name[80];

	for (int i = 0; i < 5; i++)
	{
		static const double x[] = {0.001, 1, 7, 300, 1300};
		double		h = x[i] / 2;

		snprintf(name, sizeof(name), "chi-square: 2 degrees of freedom at %g", x[i]);
		check_close(ml_chi_square_upper(x[i], 2), exp(-h), 1e-12, name);
		snprintf(name, sizeof(name), "chi-square: 6 degrees of freedom at %g", x[i]);
		check_close(ml_chi_square_upper(x[i], 6), exp(-h) * (1 + h + h * h / 2), 1e-12, name);
		snprintf(name, sizeof(name), "chi-square: 1 degree of freedom at %g", x[i]);
		check_close(ml_chi_square_upper(x[i], 1), ml_normal_two_sided(sqrt(x[i])), 1e-11, name);
	}
	check_close(ml_chi_square_upper(124.34211340400407, 100), 0.05, 1e-12, "chi-square: 100 degrees of freedom, 5 %");
}

int
main(void)
{
	test_normal();
	test_t();
	test_f();
	test_chi_square();
	return checks_done();
}
