/*
 * count.c
 *		One row to the counters that it belongs to.
 *
 * Every row is counted in full. Where the features are columns of float8 that
 * the model reads as they are, their bins are found four at a time: a
 * difference and a product each, as ml_counts_bin() does it for one.
 *
 * The row's counters are listed first and then counted, so that the first rows
 * of a transaction leave a list of what they touched: adding a single row to
 * shared memory then costs as much as the row has features, not as there are bins.
 */
#include "postgres.h"

#include <math.h>

#include "num/vector.h"
#include "watch/call.h"
#include "watch/counts.h"

typedef int32 Bins __attribute__((vector_size(16)));

/* value is not NaN; numbered from below the range, 0 */
static inline int
bin_of(double low, double high, double per_unit, double value)
{
	int			bin;

	if (value < low)
		return 0;
	if (value > high)
		return ML_COUNTS_BINS + 1;
	bin = (int) ((value - low) * per_unit);
	return bin < ML_COUNTS_BINS ? bin + 1 : ML_COUNTS_BINS;
}

/* the same of four values, from the bin of low on: -1 is below it */
ML_INLINE Bins
bins_of(MlVec low, MlVec high, MlVec per_unit, MlVec value)
{
	const MlVec last = ML_SPLAT(ML_COUNTS_BINS - 1);
	MlVec		bin = (value - low) * per_unit;

	bin = vec_select(bin < last, bin, last);
	bin = vec_select(value > high, ML_SPLAT(ML_COUNTS_BINS), bin);
	bin = vec_select(value < low, ML_SPLAT(-1), bin);
	return __builtin_convertvector(bin, Bins);
}

/* the counters of n numbers, each a column; position NULL: in order */
ML_CLONES static void
find_bins(const MlCounts *counts, const NullableDatum *column, const int *position, int n, uint32 *at)
{
	int			i = 0;

	for (; i + ML_LANES <= n; i += ML_LANES)
	{
		MlVec		value;
		Bins		bin;

		for (int k = 0; k < ML_LANES; k++)
			value[k] = DatumGetFloat8(column[position ? position[i + k] : i + k].value);
		bin = bins_of(ML_LOAD(counts->low + i), ML_LOAD(counts->high + i), ML_LOAD(counts->per_unit + i), value);
		for (int k = 0; k < ML_LANES; k++)
			at[i + k] = counts->first_bin[i + k] + bin[k];
	}
	for (; i < n; i++)
		at[i] = counts->first_bin[i] - 1 +
			bin_of(counts->low[i], counts->high[i], counts->per_unit[i],
				   DatumGetFloat8(column[position ? position[i] : i].value));
}

/* where to list a row's counters */
static inline uint32 *
begin_row(MlCounts *counts)
{
	if (unlikely(counts->nrows == 0))
		ml_counts_begin(counts);
	return counts->journal + counts->njournal;
}

static inline void
end_row(MlCounts *counts, const uint32 *at, int n)
{
	for (int i = 0; i < n; i++)
		counts->counter[at[i]]++;
	if (counts->nrows < ML_COUNTS_JOURNAL)
		counts->njournal += n;
	if (unlikely(++counts->nrows >= ML_COUNTS_ROWS))
		ml_counts_publish_one(counts);
}

/* the counter of a value of a block; NaN and infinity are missing */
static inline uint32
place_number(const MlCountsBlock *block, double value)
{
	if (!isfinite(value))
		return block->first;
	return block->first + 1 + bin_of(block->low, block->high, block->per_unit, value);
}

static inline uint32
place_code(const MlCountsBlock *block, int code)
{
	/* a level; one of no level; none */
	return code <= block->nlevels ? block->first + 1 + code : block->first;
}

/* an array is counted by its norm, as training profiles do, elements without a value left out */
static double
norm(const double *number, int n)
{
	double		sum = 0.0;
	bool		any = n == 0;

	for (int i = 0; i < n; i++)
		if (!isnan(number[i]))
		{
			sum += number[i] * number[i];
			any = true;
		}
	return any ? sqrt(sum) : NAN;
}

static bool
is_missing(const double *number, int n)
{
	for (int i = 0; i < n; i++)
		if (isnan(number[i]))
			return true;
	return false;
}

/* features of an encoded row; how many counters */
static int
find_features(const MlCounts *counts, const MlRow *row, uint32 *at)
{
	int			n = 0;

	for (int b = 1; b < counts->shape.nblocks; b++)
	{
		const MlCountsBlock *block = &counts->shape.block[b];
		const double *number = block->number < 0 ? NULL : row->number + block->number;

		if (block->kind == ML_KIND_CATEGORY)
			at[n++] = place_code(block, row->code[block->category]);
		else if (isnan(block->low))
		{
			if (number != NULL && is_missing(number, block->nnumbers))
				at[n++] = block->first;
		}
		else if (block->kind == ML_KIND_ARRAY)
			at[n++] = place_number(block, norm(number, block->nnumbers));
		else
			at[n++] = place_number(block, number[0]);
	}
	return n;
}

/* several classes: the likeliest; clusters: their number; else the value. At most one counter */
static int
find_prediction(const MlCounts *counts, const MlScorer *scorer, const double *output, uint32 *at)
{
	const MlCountsBlock *block = &counts->shape.block[0];

	if (output == NULL || isnan(output[0]))
		*at = block->first;
	else if (block->kind != ML_KIND_CATEGORY && !isnan(block->low))
		*at = place_number(block, output[0]);
	else if (block->kind != ML_KIND_CATEGORY)
		return 0;
	else if (scorer->model->recipe->target.task == ML_TASK_CLUSTER)
		*at = place_code(block, Min((int) output[0] - 1, block->nlevels));
	else
		*at = place_code(block, ml_model_class(scorer->model, output, scorer->resolved.threshold));
	return 1;
}

static int
find_label(const MlCountsShape *shape, const char *label, int length)
{
	for (int i = 0; i < shape->nlabels; i++)
		if (strlen(shape->label[i]) == (size_t) length && memcmp(shape->label[i], label, length) == 0)
			return ML_COUNT_LABEL(i);
	return ML_COUNT_OTHER_LABELS;
}

/* of what is given back. At most one counter */
static int
find_given(const MlCountsShape *shape, const MlAnswer *answer, uint32 *at)
{
	const MlDecided *decided = &answer->decided;
	const MlScorer *scorer = decided->scorer;
	const char *label = decided->label;
	int			class;

	if (shape->nlabels == 0 || (label == NULL && (decided->output == NULL || isnan(decided->output[0]))))
		return 0;
	if (label != NULL)
		*at = find_label(shape, label, decided->label_length);
	else
	{
		class = ml_model_class(scorer->model, decided->output, scorer->resolved.threshold);
		label = scorer->model->recipe->target.class_label[class];
		*at = scorer == answer->scorer ? ML_COUNT_LABEL(class) : find_label(shape, label, strlen(label));
	}
	return 1;
}

static int
find_rules(const MlCountsShape *shape, const MlScorer *scorer, uint32 *at)
{
	MlFired		fired = ml_score_fired(scorer);
	int			n = 0;

	if (fired.error)
		at[n++] = ML_COUNT_RULE_ERRORS;
	for (int i = 0; i < shape->nrules; i++)
		if (fired.rules & (UINT64CONST(1) << i))
			at[n++] = ML_COUNT_RULE(shape, i);
	return n;
}

void
ml_count(const MlAnswer *answer)
{
	MlScorer   *scorer = answer->scorer;
	MlCounts   *counts = scorer->counts;
	const MlCountsShape *shape = &counts->shape;
	uint32	   *at = begin_row(counts);
	int			n = 0;

	at[n++] = ML_COUNT_ROWS;
	if (!answer->is_row)
		at[n++] = ML_COUNT_NULL_ROWS;
	else
	{
		n += find_prediction(counts, scorer, answer->output, at + n);
		if (answer->columns == NULL)
			n += find_features(counts, &scorer->row, at + n);
		else
		{
			find_bins(counts, answer->columns, scorer->direct_position, scorer->nfloats, at + n);
			n += scorer->nfloats;
		}
		n += find_given(shape, answer, at + n);
	}
	if (answer->ruled)
		n += find_rules(shape, scorer, at + n);
	end_row(counts, at, n);
}

/* a model that gives one number and reads columns as they are; column: that of number 0 */
void
ml_count_columns(MlScorer *scorer, const NullableDatum *column, double prediction)
{
	MlCounts   *counts = scorer->counts;
	uint32	   *at = begin_row(counts);
	int			n = 0;

	at[n++] = ML_COUNT_ROWS;
	n += find_prediction(counts, scorer, &prediction, at + n);
	if (counts->shape.nlabels > 0)
		at[n++] = ML_COUNT_LABEL(ml_model_class(scorer->model, &prediction, scorer->resolved.threshold));
	find_bins(counts, column, scorer->direct_position, scorer->nfloats, at + n);
	end_row(counts, at, n + scorer->nfloats);
}
