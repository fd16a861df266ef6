/*
 * state_sums.c
 *		States that are a few sums.
 *
 * Sums of any length carry what was lost by rounding (Neumaier 1974,
 * "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen"), so
 * that they do not depend on how rows are spread over workers in more than
 * their last digits.
 */
#include "postgres.h"

#include <math.h>

#include "image.h"
#include "metric/state.h"
#include "metric/units.h"

#define MEAN_WEIGHT		0		/* two words each: sum and rest */
#define MEAN_COST		2
#define MEAN_WORDS		4

#define MOMENTS_WORDS	6		/* MlMoments of labels, then of errors */
#define CELLS_WORDS		8		/* sum and rest, said * 2 + is */
#define BINS_WORDS		(3 * ML_BINS)

static int
words_of(const MlMetricState *state)
{
	switch (state->kind)
	{
		case ML_STATE_MEAN:
			return MEAN_WORDS;
		case ML_STATE_MAXIMUM:
			return 1;
		case ML_STATE_MOMENTS:
			return MOMENTS_WORDS;
		case ML_STATE_CELLS:
			return CELLS_WORDS;
		default:
			return BINS_WORDS;
	}
}

static void
begin(MlMetricState *state)
{
	state->data = MemoryContextAllocZero(state->hdr.eoh_context, sizeof(double) * words_of(state));
}

static Size
size(MlMetricState *state)
{
	return 8 * words_of(state);
}

static void
write_body(MlMetricState *state, char *at)
{
	double	   *word = state->data;

	for (int i = 0; i < words_of(state); i++)
		ml_image_put_double(at + 8 * i, word[i]);
}

/* weights, and what is added up of squares, are never negative */
static void
check_weight(double weight)
{
	if (!(weight >= 0.0) || isinf(weight))
		ml_metric_state_refuse(psprintf("A weight is %g.", weight));
}

static void
check_words(const MlMetricState *state)
{
	const double *word = state->data;

	switch (state->kind)
	{
		case ML_STATE_MEAN:
			check_weight(word[MEAN_WEIGHT] + word[MEAN_WEIGHT + 1]);
			break;
		case ML_STATE_MAXIMUM:
			if (!(word[0] >= 0.0))
				ml_metric_state_refuse("The largest error is negative.");
			break;
		case ML_STATE_MOMENTS:
			check_weight(word[0]);
			check_weight(word[3]);
			break;
		case ML_STATE_CELLS:
			for (int i = 0; i < 4; i++)
				check_weight(word[2 * i] + word[2 * i + 1]);
			break;
		default:
			for (int b = 0; b < ML_BINS; b++)
				check_weight(word[b]);
			break;
	}
}

static void
read_body(MlMetricState *state, const char *at, Size length)
{
	double	   *word = state->data;

	if (length != size(state))
		ml_metric_state_refuse("Their number is not that of the sums.");
	for (int i = 0; i < words_of(state); i++)
		word[i] = ml_image_get_double(at + 8 * i);
	check_words(state);
}

/* ---- sums that keep their rest ---- */

static inline void
add(double *sum, double value)
{
	double		total = sum[0] + value;

	/* not of infinities, which have no rest */
	if (isfinite(total))
		sum[1] += fabs(sum[0]) >= fabs(value) ? (sum[0] - total) + value : (value - total) + sum[0];
	sum[0] = total;
}

static inline double
get(const double *sum)
{
	return sum[0] + sum[1];
}

static void
merge(MlMetricState *into, MlMetricState *from)
{
	double	   *to = into->data;
	const double *other = from->data;

	switch (into->kind)
	{
		case ML_STATE_MAXIMUM:
			to[0] = fmax(to[0], other[0]);
			break;
		case ML_STATE_MOMENTS:
			ml_moments_merge((MlMoments *) to, (const MlMoments *) other);
			ml_moments_merge((MlMoments *) (to + 3), (const MlMoments *) (other + 3));
			break;
		case ML_STATE_BINS:
			for (int i = 0; i < BINS_WORDS; i++)
				to[i] += other[i];
			break;
		default:
			for (int i = 0; i < words_of(into); i += 2)
			{
				add(to + i, other[i]);
				to[i + 1] += other[i + 1];
			}
			break;
	}
}

const MlStateBody ml_state_sums = {begin, size, write_body, read_body, merge};

/* ---- rows ---- */

void
ml_state_add_mean(MlMetricState *state, double cost, double weight)
{
	double	   *word = state->data;

	add(word + MEAN_WEIGHT, weight);
	add(word + MEAN_COST, weight * cost);
	state->nrows++;
}

void
ml_state_add_maximum(MlMetricState *state, double error)
{
	double	   *word = state->data;

	word[0] = fmax(word[0], error);
	state->nrows++;
}

void
ml_state_add_moments(MlMetricState *state, double label, double error, double weight)
{
	MlMoments  *moments = state->data;

	ml_moments_add(&moments[0], label, weight);
	ml_moments_add(&moments[1], error, weight);
	state->nrows++;
}

void
ml_state_add_cell(MlMetricState *state, bool said, bool is, double weight)
{
	double	   *word = state->data;

	add(word + 2 * (2 * said + is), weight);
	state->nrows++;
}

void
ml_state_add_bin(MlMetricState *state, double probability, bool outcome, double weight)
{
	ml_bins_add(state->data, probability, outcome, weight);
	state->nrows++;
}

/* ---- values ---- */

double
ml_state_mean(const MlMetricState *state)
{
	const double *word = state->data;
	double		weight = get(word + MEAN_WEIGHT);

	return weight > 0.0 ? get(word + MEAN_COST) / weight : NAN;
}

double
ml_state_maximum(const MlMetricState *state)
{
	return *(const double *) state->data;
}

/* the squares of errors around 0 are those around their mean, and the mean's */
double
ml_state_r2(const MlMetricState *state)
{
	const MlMoments *label = state->data;
	const MlMoments *error = label + 1;

	if (!(label->squares > 0.0))
		return NAN;
	return 1.0 - (error->squares + error->weight * error->mean * error->mean) / label->squares;
}

double
ml_state_explained_variance(const MlMetricState *state)
{
	const MlMoments *label = state->data;
	const MlMoments *error = label + 1;

	return label->squares > 0.0 ? 1.0 - error->squares / label->squares : NAN;
}

double
ml_state_calibration_error(const MlMetricState *state)
{
	return ml_bins_error(state->data);
}

void
ml_state_cells(const MlMetricState *state, double *cell)
{
	const double *word = state->data;

	for (int i = 0; i < 4; i++)
		cell[i] = get(word + 2 * i);
}
