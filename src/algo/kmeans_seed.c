/*
 * kmeans_seed.c
 *		Where k-means begins: the best of several clusterings of a sample.
 *
 * Centres are drawn from the rows of the sample, each next one with probability
 * proportional to its weighted squared distance from those drawn (k-means++:
 * Arthur & Vassilvitskii, SODA 2007), the best of a few draws being taken; then
 * Lloyd's algorithm runs on the sample. Starting the passes over all rows from
 * the best clustering of a sample: Bradley & Fayyad, "Refining initial points
 * for k-means clustering", ICML 1998. A table that fits the sample is thereby
 * clustered completely at every restart.
 */
#include "postgres.h"

#include <math.h>

#include "algo/kmeans.h"
#include "errors.h"
#include "frame/hash.h"
#include "miscadmin.h"

#define SAMPLE_ITERATIONS	100

typedef struct Seeding
{
	const MlFit *fit;
	const KMeansRows *sample;
	KMeansStep *step;
	uint64		random;			/* the state of the random numbers of a restart */
	double	   *distance;		/* ld: weighted squared distance to the nearest centre drawn */
	double	   *candidate;		/* ld */
	double	   *best;			/* ld */
	double	   *count;			/* k */
	double	   *sum;			/* k x p */
} Seeding;

static double
next_random(Seeding *s)
{
	s->random = ml_hash_word(s->random, 1);
	return ml_hash_unit(s->random);
}

/* the first row up to which the values add up to more than that share of their sum */
static int
draw(const double *value, int n, double share)
{
	double		total = 0;
	double		sum = 0;
	int			last = 0;

	for (int i = 0; i < n; i++)
		total += value[i];
	for (int i = 0; i < n; i++)
	{
		sum += value[i];
		if (value[i] > 0)
			last = i;
		if (value[i] > 0 && sum > share * total)
			return i;
	}
	return last;
}

static void
place(Seeding *s, int c, int row)
{
	for (int j = 0; j < s->step->p; j++)
		s->step->centre[(Size) c * s->step->p + j] = s->sample->z[(Size) j * s->sample->ld + row];
}

/* weighted squared distances if centre c were added; returns their sum */
ML_CLONES static double
try_centre(const Seeding *s, int c, double *distance)
{
	const KMeansRows *sample = s->sample;
	MlVec		total = ML_SPLAT(0.0);

	for (int first = 0; first < sample->n; first += ML_BLOCK_ROWS)
	{
		int			n = Min(ML_BLOCK_ROWS, sample->n - first);

		ml_distances(n, s->step->p, sample->z + first, sample->ld, s->step->centre + (Size) c * s->step->p,
					 distance + first);
		for (int i = first; i < first + n; i += ML_LANES)
		{
			MlVec		d = ML_LOAD(distance + i) * ML_LOAD(sample->weight + i);
			MlVec		before = ML_LOAD(s->distance + i);

			d = vec_select((MlVecInt) (d < before), d, before);
			ML_STORE(distance + i, d);
			total += d;
		}
	}
	return vec_sum(total);
}

static void
refuse_few(const Seeding *s, int found)
{
	ereport(ERROR,
			(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
			 errmsg("there are fewer different rows than clusters"),
			 errdetail("Of a sample of %d rows %d differ once standardised; %d clusters were asked for.",
					   s->sample->n, found, s->step->k),
			 errhint("Ask for fewer: params => '{\"k\": %d}'.", Max(found, 1))));
}

/* one more centre: the best of a few draws */
static void
add_centre(Seeding *s, int c)
{
	int			ntrials = c == 0 ? 1 : 2 + (int) log(s->step->k);
	double		least = INFINITY;
	int			chosen = 0;

	for (int trial = 0; trial < ntrials; trial++)
	{
		int			row = draw(c == 0 ? s->sample->weight : s->distance, s->sample->n, next_random(s));
		double		potential;
		double	   *swap;

		if (c > 0 && s->distance[row] <= 0)
			refuse_few(s, c);
		place(s, c, row);
		potential = try_centre(s, c, s->candidate);
		if (potential >= least)
			continue;
		least = potential;
		chosen = row;
		swap = s->best;
		s->best = s->candidate;
		s->candidate = swap;
	}
	place(s, c, chosen);
	memcpy(s->distance, s->best, s->sample->ld * sizeof(double));
}

static void
draw_centres(Seeding *s)
{
	for (int i = 0; i < s->sample->ld; i++)
		s->distance[i] = i < s->sample->n ? INFINITY : 0;
	for (int c = 0; c < s->step->k; c++)
	{
		CHECK_FOR_INTERRUPTS();
		add_centre(s, c);
	}
}

/* an empty cluster takes the row that is farthest from its centre */
static void
repair(Seeding *s)
{
	for (int c = 0; c < s->step->k; c++)
	{
		double		farthest = -1;
		int			row = 0;

		if (s->count[c] > 0)
			continue;
		ml_kmeans_step_begin(s->step, s->count);
		for (int first = 0; first < s->sample->n; first += ML_BLOCK_ROWS)
		{
			int			n = Min(ML_BLOCK_ROWS, s->sample->n - first);

			CHECK_FOR_INTERRUPTS();
			ml_kmeans_measure(s->step, s->sample, first, n);
			for (int i = 0; i < n; i++)
				if (s->step->first[i] > farthest)
				{
					farthest = s->step->first[i];
					row = first + i;
				}
		}
		place(s, c, row);
		s->count[c] = 1;
	}
}

static double
assign_sample(Seeding *s, double squares)
{
	int			k = s->step->k;

	memset(s->count, 0, k * sizeof(double));
	memset(s->sum, 0, (Size) k * s->step->p * sizeof(double));
	ml_kmeans_step_begin(s->step, NULL);
	for (int first = 0; first < s->sample->n; first += ML_BLOCK_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		ml_kmeans_assign(s->step, s->sample, first, Min(ML_BLOCK_ROWS, s->sample->n - first), s->count, s->sum);
	}
	return ml_kmeans_inertia(s->step, squares, s->count, s->sum);
}

/* Lloyd's algorithm on the sample; returns the inertia before the last move */
static double
refine(Seeding *s, double squares, double tolerance, int *iterations)
{
	double		inertia = 0;

	for (*iterations = 1; *iterations <= SAMPLE_ITERATIONS; ++*iterations)
	{
		bool		empty = false;
		double		moved;

		CHECK_FOR_INTERRUPTS();
		inertia = assign_sample(s, squares);
		moved = ml_kmeans_move(s->step, s->count, s->sum);
		for (int c = 0; c < s->step->k; c++)
			empty |= s->count[c] == 0;
		if (empty)
			repair(s);
		else if (moved <= tolerance)
			break;
	}
	return inertia;
}

static double
sum_of_squares(const KMeansRows *sample, int p)
{
	double		total = 0;

	for (int j = 0; j < p; j++)
	{
		const double *z = sample->z + (Size) j * sample->ld;

		for (int i = 0; i < sample->n; i++)
			total += sample->weight[i] * z[i] * z[i];
	}
	return total;
}

int
ml_kmeans_seed(const MlFit *fit, const KMeansRows *sample, double tolerance, KMeansStep *step)
{
	const KMeansParams *params = fit->params;
	Seeding		s = {fit, sample, step};
	Size		size = (Size) step->k * step->p;
	double	   *best = ml_fit_alloc(fit, size, sizeof(double), "centres of clusters");
	double		squares = sum_of_squares(sample, step->p);
	double		least = INFINITY;
	int			taken = 0;

	s.distance = ml_fit_alloc(fit, sample->ld, sizeof(double), "distances of a sample");
	s.candidate = ml_fit_alloc(fit, sample->ld, sizeof(double), "distances of a sample");
	s.best = ml_fit_alloc(fit, sample->ld, sizeof(double), "distances of a sample");
	s.count = ml_fit_alloc(fit, step->k, sizeof(double), "centres of clusters");
	s.sum = ml_fit_alloc(fit, size, sizeof(double), "centres of clusters");
	for (int r = 0; r < params->restarts; r++)
	{
		int			iterations;
		double		inertia;

		s.random = ml_hash_word(ml_hash_word(UINT64CONST(0x6b6d65616e73), (uint64) fit->seed), r);
		draw_centres(&s);
		inertia = refine(&s, squares, tolerance, &iterations);
		if (inertia >= least)
			continue;
		least = inertia;
		taken = iterations;
		memcpy(best, step->centre, size * sizeof(double));
	}
	memcpy(step->centre, best, size * sizeof(double));
	return taken;
}

/* ---- silhouette ---- */

/* the mean distances of row i to the rows of each cluster decide (Rousseeuw 1987, equations 1 and 2) */
static double
silhouette_of(int i, int n, int k, const double *label, const double *distance, const double *count,
			  double *sum)
{
	int			own = (int) label[i];
	double		a;
	double		b = INFINITY;

	if (count[own] <= 1)
		return 0;
	memset(sum, 0, k * sizeof(double));
	for (int l = 0; l < n; l++)
		sum[(int) label[l]] += sqrt(distance[l]);
	a = sum[own] / (count[own] - 1);
	for (int c = 0; c < k; c++)
		if (c != own && count[c] > 0)
			b = Min(b, sum[c] / count[c]);
	return isinf(b) || (a == 0 && b == 0) ? 0 : (b - a) / Max(a, b);
}

ML_CLONES static void
distances_from(const KMeansRows *sample, int n, int p, int row, double *point, double *distance)
{
	for (int j = 0; j < p; j++)
		point[j] = sample->z[(Size) j * sample->ld + row];
	ml_distances(n, p, sample->z, sample->ld, point, distance);
}

double
ml_kmeans_silhouette(const KMeansRows *sample, int n, const KMeansStep *step, double *label,
					 double *distance, double *sum)
{
	double	   *count = palloc0(step->k * sizeof(double));
	double	   *point = palloc(step->p * sizeof(double));
	double		total = 0;

	for (int i = 0; i < n; i++)
		count[(int) label[i]]++;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		distances_from(sample, n, step->p, i, point, distance);
		total += silhouette_of(i, n, step->k, label, distance, count, sum);
	}
	pfree(count);
	pfree(point);
	return total / n;
}
