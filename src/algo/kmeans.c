/*
 * kmeans.c
 *		k-means: k centres, every row belonging to the nearest.
 *
 * Objective: minimises sum over rows of w min over c of |z - m_c|^2 over the
 * centres m_c, z being the row of the design, standardised (params.standardise)
 * or only centred.
 *
 * Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28 (1982),
 * from where kmeans_seed.c begins. Passes over the rows:
 *
 *   moments	mean and variance of each column (Chan, Golub & LeVeque 1983);
 *				then the seeds are found on a sample of the rows
 *   step		sums of the rows of each centre, which then moves to their mean;
 *				until all centres together move less than the tolerance
 *   farthest	only when a centre has lost all rows: it moves to the row that is
 *				farthest from its own
 *   count		weights and inertia of the clusters, computed exactly
 *
 * Clusters are numbered by weight, the heaviest first.
 */
#include "postgres.h"

#include <math.h>

#include "algo/kmeans.h"
#include "errors.h"
#include "miscadmin.h"

#include <cblas.h>

#define SILHOUETTE_ROWS 1000

#define OFFSET(member) offsetof(KMeansParams, member)

static const MlParam params[] = {
	{"k", ML_PARAM_INT, OFFSET(k), 8, 1, 10000, NULL,
	"number of clusters"},
	{"restarts", ML_PARAM_INT, OFFSET(restarts), 10, 1, 1000, NULL,
	"how often centres are drawn and refined on a sample; the best go on"},
	{"max_iterations", ML_PARAM_INT, OFFSET(max_iterations), 300, 1, 100000, NULL,
	"passes over all rows before giving up, with a warning"},
	{"tolerance", ML_PARAM_FLOAT, OFFSET(tolerance), 1e-4, 0, 1, NULL,
	"has converged when the squared distances that the centres moved, added up, are at most this times the mean variance of the columns"},
	{"standardise", ML_PARAM_BOOL, OFFSET(standardise), 1, 0, 1, NULL,
	"whether every column is divided by its standard deviation first"},
	{NULL}
};

/*
 * What a block adds up to: number[0] is its weight. KMEANS_MOMENTS: means and centred
 * squares of the columns. KMEANS_STEP: counts of the centres and sums of their rows.
 * KMEANS_SAMPLE: kmeans_sample.c. KMEANS_FARTHEST: 1 + the largest squared distance, and that
 * row. KMEANS_COUNT: weights and inertias.
 */
typedef struct State
{
	double		number[1];		/* state_size() says how many */
} State;

/* ---- moments ---- */

ML_CLONES static void
consume_moments(const KMeans *m, State *s, int n, const double *x, const double *weight)
{
	double		total = 0;

	for (int i = 0; i < n; i++)
		total += weight ? weight[i] : 1;
	s->number[0] = total;
	for (int j = 0; j < m->p; j++)
	{
		const double *column = x + (Size) j * n;

		s->number[1 + j] = ml_column_mean(n, column, weight, total);
		s->number[1 + m->p + j] = ml_column_squares(n, column, weight, s->number[1 + j]);
	}
}

static void
merge_moments(const KMeans *m, State *s, const State *o)
{
	double		total = s->number[0] + o->number[0];
	double		share;

	if (o->number[0] == 0)
		return;
	share = o->number[0] / total;
	for (int j = 1; j <= m->p; j++)
	{
		double		delta = o->number[j] - s->number[j];

		s->number[j] += delta * share;
		s->number[m->p + j] += o->number[m->p + j] + delta * delta * (s->number[0] * share);
	}
	s->number[0] = total;
}

/* ---- rows ---- */

void
ml_kmeans_make_rows(const MlFit *fit, int n, int p, KMeansRows *rows)
{
	rows->n = n;
	rows->ld = ml_stride(n);
	rows->z = ml_fit_alloc(fit, (Size) rows->ld * p, sizeof(double), "rows of k-means");
	rows->weight = ml_fit_alloc(fit, rows->ld, sizeof(double), "rows of k-means");
}

/* standardises n rows of the design to rows [first, first + n) of to */
ML_CLONES static void
put_rows(const KMeans *m, int n, const double *x, const double *weight, int first, KMeansRows *to)
{
	for (int j = 0; j < m->p; j++)
		ml_standardise(n, x + (Size) j * n, m->shift[j], m->scale[j], to->z + (Size) j * to->ld + first);
	for (int i = 0; i < ml_padded(n); i++)
		to->weight[first + i] = i >= n ? 0 : weight ? weight[i] : 1;
}

/* the sample of a state, standardised */
static void
take_sample(KMeans *m, double *s)
{
	int			n = ml_kmeans_sample_rows(&m->sampler, s);

	if (n < m->k)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("there are fewer different rows than clusters"),
				 errdetail("Of the training rows %d differ; %d clusters were asked for.", n, m->k),
				 errhint("Ask for fewer: params => '{\"k\": %d}'.", Max(n, 1))));
	ml_kmeans_make_rows(m->fit, n, m->p, &m->sample);
	for (int i = 0; i < n; i++)
	{
		const double *x = ml_kmeans_sample_row(&m->sampler, s, i, &m->sample.weight[i]);

		for (int j = 0; j < m->p; j++)
			m->sample.z[(Size) j * m->sample.ld + i] = (x[j] - m->shift[j]) * m->scale[j];
	}
	m->sample_rows = n;
	m->sample_iterations = ml_kmeans_seed(m->fit, &m->sample, m->params->tolerance * m->variance, &m->step);
	m->phase = KMEANS_STEP;
}

/* in memory a state for every block would cost more than to read the rows again */
static void
read_sample(KMeans *m)
{
	const MlDesignMatrix *rows = m->fit->rows;
	double	   *s = ml_fit_alloc(m->fit, ml_kmeans_sample_words(&m->sampler), sizeof(double), "sample of rows");
	double	   *x = ml_fit_alloc(m->fit, (Size) m->p * ML_BLOCK_ROWS, sizeof(double), "sample of rows");

	for (int64 first = 0; first < rows->nrows; first += ML_BLOCK_ROWS)
	{
		int			n = (int) Min(ML_BLOCK_ROWS, rows->nrows - first);

		CHECK_FOR_INTERRUPTS();
		rows->read(rows->arg, first, n, x);
		ml_kmeans_sample_add(&m->sampler, s, n, x, rows->weight ? rows->weight + first : NULL);
	}
	take_sample(m, s);
}

/* ---- the fold ---- */

static void
require_rows(const KMeans *m)
{
	int64		n = m->fit->rows->nrows;

	if (n < m->k)
		ereport(ERROR,
				(errcode(ERRCODE_ML_UNTRAINABLE_DATA),
				 errmsg("there are fewer rows than clusters"),
				 errdetail("There are " INT64_FORMAT " training rows for %d clusters.", n, m->k),
				 errhint("Train on more rows, or ask for fewer: params => '{\"k\": " INT64_FORMAT "}'.", Max(n, 1))));
}

static void *
start(const MlFit *fit)
{
	KMeans	   *m = ml_fit_alloc(fit, 1, sizeof(KMeans), "k-means");

	m->fit = fit;
	m->params = fit->params;
	m->k = (int) m->params->k;
	m->p = fit->rows->ncolumns;
	if (fit->rows->survey == NULL)
		require_rows(m);
	m->shift = ml_fit_alloc(fit, m->p, sizeof(double), "k-means");
	m->scale = ml_fit_alloc(fit, m->p, sizeof(double), "k-means");
	m->count = ml_fit_alloc(fit, m->k, sizeof(double), "k-means");
	m->inertia = ml_fit_alloc(fit, m->k, sizeof(double), "k-means");
	m->history = ml_fit_alloc(fit, m->params->max_iterations, sizeof(double), "k-means");
	ml_kmeans_step_make(fit, m->k, m->p, &m->step);
	ml_kmeans_sampler_make(fit, m->k, m->p, &m->sampler);
	ml_kmeans_make_rows(fit, ML_BLOCK_ROWS, m->p, &m->block);
	return m;
}

/* numbers of a state in a phase */
static Size
phase_numbers(const KMeans *m, KMeansPhase phase)
{
	switch (phase)
	{
		case KMEANS_MOMENTS:
			return 1 + 2 * (Size) m->p;
		case KMEANS_SAMPLE:
			return ml_kmeans_sample_words(&m->sampler);
		case KMEANS_STEP:
			return 1 + (Size) m->k * (m->p + 1);
		case KMEANS_FARTHEST:
			return 1 + (Size) m->p;
		case KMEANS_COUNT:
			break;
	}
	return 1 + 2 * (Size) m->k;
}

/* in memory one size does for all passes, none of which takes a sample */
static Size
state_size(void *fit)
{
	KMeans	   *m = fit;
	Size		n = Max(phase_numbers(m, KMEANS_MOMENTS), Max(phase_numbers(m, KMEANS_STEP), phase_numbers(m, KMEANS_COUNT)));

	return sizeof(double) * (m->fit->rows->survey ? phase_numbers(m, m->phase) : n);
}

void
ml_kmeans_begin(KMeans *m)
{
	if (m->phase >= KMEANS_STEP)
		ml_kmeans_step_begin(&m->step, m->phase == KMEANS_FARTHEST ? m->count : NULL);
}

static void
begin_pass(void *fit, int pass)
{
	KMeans	   *m = fit;

	m->passes = pass + 1;
	ml_kmeans_begin(m);
}

static void
consume_farthest(KMeans *m, State *s, int n)
{
	ml_kmeans_measure(&m->step, &m->block, 0, n);
	for (int i = 0; i < n; i++)
	{
		if (s->number[0] >= 1 + m->step.first[i])
			continue;
		s->number[0] = 1 + m->step.first[i];
		for (int j = 0; j < m->p; j++)
			s->number[1 + j] = m->block.z[(Size) j * m->block.ld + i];
	}
}

static void
consume_count(KMeans *m, State *s, int n)
{
	ml_kmeans_measure(&m->step, &m->block, 0, n);
	for (int i = 0; i < n; i++)
	{
		int			c = (int) m->step.nearest[i];

		s->number[1 + c] += m->block.weight[i];
		s->number[1 + m->k + c] += m->block.weight[i] * m->step.first[i];
	}
}

static void
consume(void *fit, void *state, int n, const double *x, const double *y, const double *weight, int64 first)
{
	KMeans	   *m = fit;
	State	   *s = state;

	if (m->phase == KMEANS_MOMENTS)
	{
		consume_moments(m, s, n, x, weight);
		return;
	}
	if (m->phase == KMEANS_SAMPLE)
	{
		ml_kmeans_sample_add(&m->sampler, s->number, n, x, weight);
		return;
	}
	put_rows(m, n, x, weight, 0, &m->block);
	if (m->phase == KMEANS_STEP)
		ml_kmeans_assign(&m->step, &m->block, 0, n, s->number + 1, s->number + 1 + m->k);
	else if (m->phase == KMEANS_FARTHEST)
		consume_farthest(m, s, n);
	else
		consume_count(m, s, n);
}

static void
merge(void *fit, void *state, const void *other)
{
	KMeans	   *m = fit;
	State	   *s = state;
	const State *o = other;
	Size		n = phase_numbers(m, m->phase);

	if (m->phase == KMEANS_MOMENTS)
		merge_moments(m, s, o);
	else if (m->phase == KMEANS_SAMPLE)
	{
		if (ml_kmeans_sample_valid(&m->sampler, s->number) && ml_kmeans_sample_valid(&m->sampler, o->number))
			ml_kmeans_sample_merge(&m->sampler, s->number, o->number);
	}
	else if (m->phase == KMEANS_FARTHEST)
	{
		if (o->number[0] > s->number[0])
			memcpy(s, o, n * sizeof(double));
	}
	else
		cblas_daxpy(n, 1.0, o->number, 1, s->number, 1);
}

/* ---- the end of a pass ---- */

static void
take_moments(KMeans *m, const State *s)
{
	double		weight = s->number[0];

	require_rows(m);
	for (int j = 0; j < m->p; j++)
	{
		double		variance = s->number[1 + m->p + j] / weight;

		m->shift[j] = s->number[1 + j];
		m->scale[j] = m->params->standardise ? (variance > 0 ? 1 / sqrt(variance) : 0) : 1;
		m->squares += s->number[1 + m->p + j] * m->scale[j] * m->scale[j];
		if (!isfinite(variance) || !isfinite(m->scale[j]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the squares of column \"%s\" leave the range of numbers", m->fit->rows->column_name[j]),
					 errhint("Train on the column in other units.")));
	}
	m->variance = m->squares / weight / Max(m->p, 1);
	if (m->fit->rows->survey)
		m->phase = KMEANS_SAMPLE;
	else
		read_sample(m);
}

static void
take_step(KMeans *m, const State *s)
{
	const double *count = s->number + 1;
	const double *sum = s->number + 1 + m->k;
	bool		empty = false;
	double		moved;

	m->history[m->iterations++] = ml_kmeans_inertia(&m->step, m->squares, count, sum);
	moved = ml_kmeans_move(&m->step, count, sum);
	memcpy(m->count, count, m->k * sizeof(double));
	for (int c = 0; c < m->k; c++)
		empty |= count[c] == 0;
	m->converged = !empty && moved <= m->params->tolerance * m->variance;
	m->phase = m->converged || m->iterations >= m->params->max_iterations ? KMEANS_COUNT : empty ? KMEANS_FARTHEST : KMEANS_STEP;
}

/* one empty centre is mended a pass */
static void
take_farthest(KMeans *m, const State *s)
{
	bool		mended = false;

	m->phase = KMEANS_STEP;
	for (int c = 0; c < m->k; c++)
	{
		if (m->count[c] > 0)
			continue;
		if (mended)
		{
			m->phase = KMEANS_FARTHEST;
			return;
		}
		memcpy(m->step.centre + (Size) c * m->p, s->number + 1, m->p * sizeof(double));
		m->count[c] = 1;
		mended = true;
	}
}

static bool
end_pass(void *fit, void *state)
{
	KMeans	   *m = fit;
	State	   *s = state;

	switch (m->phase)
	{
		case KMEANS_MOMENTS:
			take_moments(m, s);
			return false;
		case KMEANS_SAMPLE:
			if (ml_kmeans_sample_valid(&m->sampler, s->number))
				take_sample(m, s->number);
			return false;
		case KMEANS_STEP:
			take_step(m, s);
			return false;
		case KMEANS_FARTHEST:
			take_farthest(m, s);
			return false;
		case KMEANS_COUNT:
			break;
	}
	memcpy(m->count, s->number + 1, m->k * sizeof(double));
	memcpy(m->inertia, s->number + 1 + m->k, m->k * sizeof(double));
	return true;
}

/* ---- the result ---- */

/* the clusters by weight, the heaviest first */
static int *
order_clusters(const KMeans *m)
{
	int		   *order = palloc(m->k * sizeof(int));

	for (int c = 0; c < m->k; c++)
	{
		int			at = c;

		for (; at > 0 && m->count[order[at - 1]] < m->count[c]; at--)
			order[at] = order[at - 1];
		order[at] = c;
	}
	return order;
}

static MlCentres *
make_centres(const KMeans *m)
{
	MlCentres  *centres = palloc0(sizeof(MlCentres));
	int		   *order = order_clusters(m);
	Size		p = m->p;

	centres->base.kind = ML_PREDICTOR_CENTRES;
	centres->nclusters = m->k;
	centres->shift = palloc_extended(Max(p, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	centres->scale = palloc_extended(Max(p, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	centres->centre = palloc_extended(Max(m->k * p, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	centres->weight = palloc(m->k * sizeof(double));
	centres->inertia = palloc(m->k * sizeof(double));
	memcpy(centres->shift, m->shift, p * sizeof(double));
	memcpy(centres->scale, m->scale, p * sizeof(double));
	for (int c = 0; c < m->k; c++)
	{
		memcpy(centres->centre + c * p, m->step.centre + order[c] * p, p * sizeof(double));
		centres->weight[c] = m->count[order[c]];
		centres->inertia[c] = m->inertia[order[c]];
	}
	pfree(order);
	return centres;
}

static double
silhouette(KMeans *m)
{
	int			n = Min(SILHOUETTE_ROWS, m->sample.n);
	KMeansRows	some = m->sample;

	/* more than a block is never asked for */
	StaticAssertStmt(SILHOUETTE_ROWS <= ML_BLOCK_ROWS, "a sample for the silhouette fits a block");
	ml_kmeans_measure(&m->step, &some, 0, n);
	return ml_kmeans_silhouette(&some, n, &m->step, m->step.nearest, m->step.distance, m->step.half);
}

static MlFitted *
finish(void *fit)
{
	KMeans	   *m = fit;
	MlFitted   *fitted = ml_fitted_make();
	double		inertia = 0;

	fitted->predictor = &make_centres(m)->base;
	fitted->passes = m->passes;
	fitted->converged = m->converged;
	for (int c = 0; c < m->k; c++)
		inertia += m->inertia[c];
	ml_fitted_fact(fitted, "inertia", inertia);
	ml_fitted_fact(fitted, "explained_variance", m->squares > 0 ? 1 - inertia / m->squares : NAN);
	ml_fitted_fact(fitted, "iterations", m->iterations);
	ml_fitted_fact(fitted, "sample_iterations", m->sample_iterations);
	ml_fitted_fact(fitted, "sample_rows", m->sample_rows);
	if (m->k > 1 && m->sample.n > 0)
		ml_fitted_fact(fitted, "silhouette", silhouette(m));
	ml_fitted_series(fitted, "inertia_by_iteration", m->iterations, m->history);
	if (!m->converged)
		ml_fitted_note(fitted, "the centres still moved at the last of %d iterations: train with more max_iterations, or a larger tolerance",
					   m->iterations);
	return fitted;
}

/* ---- the algorithm ---- */

static bool
penalised(const void *params)
{
	return true;				/* every level of a category has its column */
}

static int
expected_passes(void *fit)
{
	KMeans	   *m = fit;

	return (int) Min(m->params->max_iterations + 2, Max(20, m->passes + 1));
}

static double
objective(void *fit)
{
	KMeans	   *m = fit;

	return m->iterations > 0 ? m->history[m->iterations - 1] : NAN;
}

const MlAlgorithm ml_kmeans = {
	.name = "kmeans",
	.summary = "clusters: every row belongs to the nearest of k centres",
	.tasks = ML_TASKS_CLUSTER,
	.penalised = penalised,
	.params = params,
	.params_size = sizeof(KMeansParams),
	.start = start,
	.state_size = state_size,
	.begin_pass = begin_pass,
	.consume = consume,
	.merge = merge,
	.end_pass = end_pass,
	.pass_size = ml_kmeans_pass_size,
	.pass_save = ml_kmeans_pass_save,
	.pass_load = ml_kmeans_pass_load,
	.share_size = ml_kmeans_share_size,
	.share_out = ml_kmeans_share_out,
	.share_in = ml_kmeans_share_in,
	.finish = finish,
	.expected_passes = expected_passes,
	.objective = objective,
};
