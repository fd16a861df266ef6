/*
 * kmeans.h
 *		k-means in two parts: seeding on a sample (kmeans_seed.c), and Lloyd's
 *		passes over all rows (kmeans.c; between them kmeans_pass.c). Both use the
 *		step of kmeans_step.c.
 */
#ifndef ML_KMEANS_H
#define ML_KMEANS_H

#include "learn/driver.h"
#include "num/nearest.h"

typedef struct KMeansParams
{
	int64		k;
	int64		restarts;
	int64		max_iterations;
	double		tolerance;
	bool		standardise;
} KMeansParams;

/* rows side by side, column by column: z[j * ld + i], ld = ml_stride(n) */
typedef struct KMeansRows
{
	int			n;
	int			ld;
	double	   *z;
	double	   *weight;			/* ld, 0 beyond n */
} KMeansRows;

/* k centres, and memory to assign a block of ML_BLOCK_ROWS rows to them */
typedef struct KMeansStep
{
	int			k;
	int			p;
	double	   *centre;			/* k x p, a centre contiguous */
	double	   *half;			/* k: half the squared length of a centre; infinity: an empty one */
	double	   *product;		/* k x ML_BLOCK_ROWS: rows times centres, then who is where */
	double	   *nearest;		/* ML_BLOCK_ROWS */
	double	   *first;
	double	   *second;
	double	   *distance;
} KMeansStep;

/* how samples are taken; kmeans_sample.c */
typedef struct KMeansSampler
{
	int			p;
	int			room;			/* rows of the sample */
	int			capacity;		/* of a state of it */
	uint64		hash;			/* that a row's begins with */
	uint64	   *key;			/* ML_BLOCK_ROWS */
	struct KMeansEntry *entry;	/* capacity: scratch, then the sample in order */
	bool	   *keep;
} KMeansSampler;

/* what a pass is for */
typedef enum KMeansPhase
{
	KMEANS_MOMENTS, KMEANS_SAMPLE, KMEANS_STEP, KMEANS_FARTHEST, KMEANS_COUNT
} KMeansPhase;

typedef struct KMeans
{
	const MlFit *fit;
	const KMeansParams *params;
	int			k;
	int			p;
	KMeansPhase phase;
	double	   *shift;			/* p */
	double	   *scale;			/* p */
	double		variance;		/* mean over the columns, standardised */
	double		squares;		/* sum of w |z|^2 */
	KMeansStep	step;
	KMeansSampler sampler;
	KMeansRows	sample;			/* none where another process seeded */
	KMeansRows	block;
	double	   *count;			/* k: of the last step; then the weights of the clusters */
	double	   *inertia;		/* k */
	double	   *history;		/* inertia by iteration */
	int			iterations;
	int			sample_rows;
	int			sample_iterations;
	int			passes;
	bool		converged;
} KMeans;

/* ---- kmeans_sample.c: s is a state of ml_kmeans_sample_words() doubles, zeroed at first ---- */

extern void ml_kmeans_sampler_make(const MlFit *fit, int k, int p, KMeansSampler *sampler);
extern Size ml_kmeans_sample_words(const KMeansSampler *sampler);
extern void ml_kmeans_sample_add(KMeansSampler *sampler, double *s, int n, const double *x, const double *weight);
extern void ml_kmeans_sample_merge(KMeansSampler *sampler, double *s, const double *other);
extern bool ml_kmeans_sample_valid(const KMeansSampler *sampler, const double *s);

/* how many rows the sample has, which ml_kmeans_sample_row() then gives by ascending hash */
extern int	ml_kmeans_sample_rows(KMeansSampler *sampler, double *s);
extern const double *ml_kmeans_sample_row(const KMeansSampler *sampler, const double *s, int i, double *weight);

/* ---- kmeans_step.c ---- */

extern void ml_kmeans_step_make(const MlFit *fit, int k, int p, KMeansStep *step);

/* after centres changed; empty ones attract nothing: count NULL means none is empty */
extern void ml_kmeans_step_begin(KMeansStep *step, const double *count);

/*
 * Adds rows [first, first + n) to the counts and the sums (k x p) of the nearest
 * centre; n <= ML_BLOCK_ROWS, first a multiple of ML_LANES.
 */
extern void ml_kmeans_assign(KMeansStep *step, const KMeansRows *rows, int first, int n,
							 double *count, double *sum);

/* which centre is nearest (step->nearest) and the squared distance (step->first), computed exactly */
extern void ml_kmeans_measure(KMeansStep *step, const KMeansRows *rows, int first, int n);

/*
 * Moves the centres to the means of what was assigned; empty ones stay. Returns
 * the sum of the squared distances that they moved.
 */
extern double ml_kmeans_move(KMeansStep *step, const double *count, const double *sum);

/* sum of w times the squared distance, from the sum of w z^2 of all rows and what was assigned */
extern double ml_kmeans_inertia(const KMeansStep *step, double squares, const double *count, const double *sum);

/* ---- kmeans_seed.c ---- */

/* leaves the best of the restarts in step->centre; returns the iterations it took */
extern int	ml_kmeans_seed(const MlFit *fit, const KMeansRows *sample, double tolerance, KMeansStep *step);

/* Rousseeuw's mean silhouette of the first rows of the sample */
extern double ml_kmeans_silhouette(const KMeansRows *sample, int n, const KMeansStep *step, double *label,
								   double *distance, double *sum);

/* ---- kmeans.c, for kmeans_pass.c ---- */

extern void ml_kmeans_make_rows(const MlFit *fit, int n, int p, KMeansRows *rows);
extern void ml_kmeans_begin(KMeans *m); /* the pass that the phase is for */

/* ---- kmeans_pass.c ---- */

extern Size ml_kmeans_share_size(void *fit);
extern bool ml_kmeans_share_out(void *fit, void *shared);
extern void *ml_kmeans_share_in(void *fit, const MlDesignMatrix *rows, const void *shared);
extern int	ml_kmeans_pass_size(void *fit);
extern void ml_kmeans_pass_save(void *fit, double *pass);
extern bool ml_kmeans_pass_load(void *fit, int n, const double *pass);

#endif							/* ML_KMEANS_H */
