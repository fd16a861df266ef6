/*
 * platt.c
 *		Platt scaling.
 *
 * Objective:  - sum w [t log p + (1 - t) log(1 - p)],  p = 1 / (1 + exp(-eta)),
 *             eta = slope * score + shift,
 *
 * over slope and shift, where the targets t are not 0 and 1 but what a uniform
 * prior makes of as many rows (Platt, Probabilistic outputs for support vector
 * machines, 1999): (N1 + 1) / (N1 + 2) for label 1, 1 / (N0 + 2) for label 0,
 * N1 and N0 being the sums of weights. So the sigmoid stays finite where scores
 * separate the labels.
 *
 * Newton's method with step halving, as Lin, Lin & Weng, A note on Platt's
 * probabilistic outputs for support vector machines, Machine Learning 68
 * (2007), with logarithms that do not cancel; over scores brought to mean 0 and
 * a largest size of 1, so that their unit does not matter.
 */
#include <math.h>
#include <stdbool.h>

#include "num/logit.h"
#include "num/platt.h"

#define BLOCK		512
#define MAX_STEPS	100
#define MAX_HALVINGS 40
#define SETTLED		1e-16		/* of the objective: what the last step may still bring */
#define SLACK		1e-12		/* of the objective: a rise that is rounding */
#define RIDGE		1e-12		/* keeps the information regular, as in the note */

typedef struct Platt
{
	const MlPlattRows *rows;
	double		centre;
	double		unit;			/* score * unit is what is fitted on */
	double		target[2];		/* of either label */
} Platt;

/* of the objective at a and b: eta = a * z + b */
typedef struct Sums
{
	double		objective;
	double		ga, gb;			/* minus the gradient */
	double		haa, hab, hbb;
} Sums;

static double
weight_of(const MlPlattRows *rows, size_t i)
{
	return rows->weight ? rows->weight[i] : 1;
}

static void
tick(const MlPlattRows *rows, size_t i)
{
	if (rows->tick && i % (BLOCK * 64) == 0)
		rows->tick(rows->tick_arg);
}

/* centre, unit, targets */
static MlNumStatus
prepare(Platt *p)
{
	const MlPlattRows *rows = p->rows;
	double		total[2] = {0, 0};
	double		sum = 0;
	double		largest = 0;

	for (size_t i = 0; i < rows->n; i++)
	{
		double		w = weight_of(rows, i);

		tick(rows, i);
		total[rows->label[i] != 0] += w;
		largest = fmax(largest, fabs(rows->score[i]));
		sum += w * (isnan(rows->score[i]) ? INFINITY : rows->score[i]);
	}
	if (!isfinite(largest) || !isfinite(sum))
		return ML_NUM_NOT_FINITE;
	p->centre = sum / (total[0] + total[1]);
	largest = 0;
	for (size_t i = 0; i < rows->n; i++)
	{
		tick(rows, i);
		largest = fmax(largest, fabs(rows->score[i] - p->centre));
	}
	p->unit = largest > fabs(p->centre) * 1e-14 ? 1 / largest : 0;
	p->target[0] = 1 / (total[0] + 2);
	p->target[1] = (total[1] + 1) / (total[1] + 2);
	return isfinite(p->unit) ? ML_NUM_OK : ML_NUM_NOT_FINITE;
}

/*
 * A row of target t is a row of label 1 and weight w t, and one of label 0 and
 * weight w (1 - t).
 */
static void
add_block(const Platt *p, size_t first, int n, double a, double b, Sums *sums)
{
	static const double label[2][BLOCK] = {{0}};
	double		z[BLOCK];
	double		eta[BLOCK];
	double		one[BLOCK];
	double		weight[2][BLOCK];
	double		residual[2][BLOCK];
	double		root[2][BLOCK];
	MlLogitSums block[2];

	for (int i = 0; i < n; i++)
	{
		double		w = weight_of(p->rows, first + i);
		double		t = p->target[p->rows->label[first + i] != 0];

		z[i] = (p->rows->score[first + i] - p->centre) * p->unit;
		eta[i] = a * z[i] + b;
		one[i] = 1;
		weight[0][i] = w * (1 - t);
		weight[1][i] = w * t;
	}
	ml_logit_block(n, eta, label[0], weight[0], residual[0], root[0], &block[0]);
	ml_logit_block(n, eta, one, weight[1], residual[1], root[1], &block[1]);
	sums->objective -= block[0].log_likelihood + block[1].log_likelihood;
	for (int i = 0; i < n; i++)
	{
		double		g = residual[0][i] + residual[1][i];
		double		h = root[0][i] * root[0][i] + root[1][i] * root[1][i];

		sums->ga += g * z[i];
		sums->gb += g;
		sums->haa += h * z[i] * z[i];
		sums->hab += h * z[i];
		sums->hbb += h;
	}
}

static Sums
sum_rows(const Platt *p, double a, double b)
{
	Sums		sums = {0};

	for (size_t first = 0; first < p->rows->n; first += BLOCK)
	{
		size_t		left = p->rows->n - first;

		tick(p->rows, first);
		add_block(p, first, left < BLOCK ? (int) left : BLOCK, a, b, &sums);
	}
	return sums;
}

/* the step from sums, and what it promises to bring */
static double
newton_step(const Sums *s, double *da, double *db)
{
	double		haa = s->haa + RIDGE;
	double		hbb = s->hbb + RIDGE;
	double		determinant = haa * hbb - s->hab * s->hab;

	*da = (hbb * s->ga - s->hab * s->gb) / determinant;
	*db = (haa * s->gb - s->hab * s->ga) / determinant;
	return s->ga * *da + s->gb * *db;
}

/* a step that is better, halved as often as that takes; false: there is none */
static bool
advance(const Platt *p, Sums *sums, double *a, double *b, double da, double db)
{
	for (int halving = 0; halving < MAX_HALVINGS; halving++)
	{
		Sums		next = sum_rows(p, *a + da, *b + db);

		if (next.objective <= sums->objective * (1 + SLACK))
		{
			*a += da;
			*b += db;
			*sums = next;
			return true;
		}
		da /= 2;
		db /= 2;
	}
	return false;
}

MlNumStatus
ml_platt_fit(const MlPlattRows *rows, double *slope, double *shift)
{
	Platt		p = {.rows = rows};
	MlNumStatus status = prepare(&p);
	double		a = 0;
	double		b = 0;
	double		promise = INFINITY;
	Sums		sums;

	if (status != ML_NUM_OK)
		return status;
	sums = sum_rows(&p, a, b);
	for (int step = 0; step < MAX_STEPS; step++)
	{
		double		da;
		double		db;

		promise = newton_step(&sums, &da, &db);
		if (!(promise > SETTLED * sums.objective))
		{
			a += da;
			b += db;
			break;
		}
		if (!advance(&p, &sums, &a, &b, da, db))
			break;
	}
	*slope = a * p.unit;
	*shift = b - *slope * p.centre;
	if (!isfinite(*slope) || !isfinite(*shift))
		return ML_NUM_NOT_FINITE;
	return promise <= 1e-10 * (sums.objective + 1) ? ML_NUM_OK : ML_NUM_NO_CONVERGENCE;
}
