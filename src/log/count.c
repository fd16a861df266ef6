/*
 * count.c
 *		One row to the counters that it belongs to.
 *
 * Rows, predictions, labels, levels and missing values are counted of every
 * row. Numbers get into their bins of every row where rows are few, and of a
 * sample of rows, each with the weight of those that it stands for, where a
 * query has many: bins add up to the rows but for chance, and a scan pays little.
 *
 *
 * The row's counters are listed first and then counted, so that the first rows
 * of a transaction leave a list of what they touched: adding a single row to
 * shared memory then costs as much as the row has features, not as there are bins.
 */
#include "postgres.h"

#include <math.h>

#include "log/call.h"
#include "log/counts.h"

/* the counters of n numbers, each a column; position NULL: in order */
static void
find_bins(const MlCounts *counts, const NullableDatum *column, const int *position, int n, uint32 *at)
{
	const MlCountsColumn *bins = counts->column;

	for (int i = 0; i < n; i++)
		at[i] = bins[i].first_bin +
			ml_profile_bin(bins[i].low, bins[i].high, bins[i].per_unit,
						   DatumGetFloat8(column[position ? position[i] : i].value));
}

/* ---- a row ---- */

/* the counters of a row, listed where the journal goes on */
typedef struct Row
{
	uint32	   *at;
	int			n;				/* that count it as one */
	int			nbins;			/* after these: bins of features, which count it as weight */
	uint32		weight;			/* 0: it is none of those whose features get into bins */
} Row;

/*
 * The first rows of a transaction have weight 1, of the others one in
 * ML_COUNTS_SAMPLE has that weight. It is drawn, not made of the row: rows that are equal
 * would be in the sample together. The generator is Knuth's (MMIX), of which high bits are good.
 */
static inline uint32
draw(MlCounts *counts)
{
	if (counts->exact > 0)
	{
		counts->exact--;
		return 1;
	}
	counts->random = counts->random * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
	return counts->random < PG_UINT64_MAX / ML_COUNTS_SAMPLE ? ML_COUNTS_SAMPLE : 0;
}

static inline void
begin_row(MlCounts *counts, Row *row)
{
	if (unlikely(counts->nrows == 0))
		ml_counts_begin(counts);
	row->at = counts->journal + counts->njournal;
	row->at[0] = ML_COUNT_ROWS;
	row->n = 1;
	row->nbins = 0;
	row->weight = draw(counts);
}

static inline void
end_row(MlCounts *counts, const Row *row)
{
	uint32	   *counter = counts->counter;

	for (int i = 0; i < row->n; i++)
		counter[row->at[i]]++;
	for (int i = row->n; i < row->n + row->nbins; i++)
		counter[row->at[i]] += row->weight;
	if (counts->nrows < ML_COUNTS_JOURNAL)
		counts->njournal += row->n + row->nbins;
	if (unlikely(++counts->nrows >= ML_COUNTS_ROWS))
		ml_counts_publish_one(counts);
}

static inline void
list(Row *row, uint32 counter)
{
	row->at[row->n++] = counter;
}

/* the counter of a value of a block that has bins */
static inline uint32
place_number(const MlCountsBlock *block, double value)
{
	return block->first + 1 + ml_profile_bin(block->low, block->high, block->per_unit, value);
}

static inline uint32
place_code(const MlCountsBlock *block, int code)
{
	/* a level; one of no level; none */
	return code <= block->nlevels ? block->first + 1 + code : block->first;
}

/* ---- features of an encoded row ---- */

/* NULL, NaN or infinite; an array of nothing else */
static bool
is_missing(const MlCountsBlock *block, const double *number)
{
	if (block->kind != ML_KIND_ARRAY)
		return !isfinite(number[0]);
	for (int i = 0; i < block->nnumbers; i++)
		if (!isnan(number[i]))
			return false;
	return block->nnumbers > 0;
}

/* an array is counted by its norm, as training profiles do, elements without a value left out */
static double
norm(const double *number, int n)
{
	double		sum = 0.0;

	for (int i = 0; i < n; i++)
		if (!isnan(number[i]))
			sum += number[i] * number[i];
	return sqrt(sum);
}

/* of every row: levels, and what is missing */
static void
list_features(const MlCountsShape *shape, const MlRow *encoded, Row *row)
{
	for (int b = 1; b < shape->nblocks; b++)
	{
		const MlCountsBlock *block = &shape->block[b];

		if (block->kind == ML_KIND_CATEGORY)
			list(row, place_code(block, encoded->code[block->category]));
		else if (is_missing(block, encoded->number + block->number))
			list(row, block->first);
	}
}

/* of a row with a weight; to be listed after all else */
static void
list_bins(const MlCountsShape *shape, const MlRow *encoded, Row *row)
{
	list(row, ML_COUNT_BINNED);
	for (int b = 1; b < shape->nblocks; b++)
	{
		const MlCountsBlock *block = &shape->block[b];
		const double *number = encoded->number + block->number;

		if (block->kind == ML_KIND_CATEGORY || isnan(block->low) || is_missing(block, number))
			continue;
		row->at[row->n + row->nbins++] =
			place_number(block, block->kind == ML_KIND_ARRAY ? norm(number, block->nnumbers) : number[0]);
	}
}

/* the same of columns, of which none is missing and all have bins */
static void
list_column_bins(const MlCounts *counts, const MlScorer *scorer, const NullableDatum *column, Row *row)
{
	list(row, ML_COUNT_BINNED);
	find_bins(counts, column, scorer->direct_position, scorer->nfloats, row->at + row->n);
	row->nbins = scorer->nfloats;
}

/* ---- what was predicted, and given back ---- */

/* several classes: the likeliest; clusters: their number; else the value */
static void
list_prediction(const MlCountsBlock *block, const MlScorer *scorer, const double *output, Row *row)
{
	if (output == NULL || isnan(output[0]))
		list(row, block->first);
	else if (block->kind != ML_KIND_CATEGORY)
	{
		if (!isnan(block->low))
			list(row, place_number(block, output[0]));
	}
	else if (scorer->model->recipe->target.task == ML_TASK_CLUSTER)
		list(row, place_code(block, Min(Max((int) output[0] - 1, 0), block->nlevels)));
	else
		list(row, place_code(block, ml_model_class(scorer->model, output, scorer->resolved.threshold)));
}

static uint32
find_label(const MlCountsShape *shape, const char *label, int length)
{
	for (int i = 0; i < shape->nlabels; i++)
		if (strlen(shape->label[i]) == (size_t) length && memcmp(shape->label[i], label, length) == 0)
			return ML_COUNT_LABEL(i);
	return ML_COUNT_OTHER_LABELS;
}

static void
list_label(const MlCountsShape *shape, const MlAnswer *answer, Row *row)
{
	const MlDecided *decided = &answer->decided;
	const MlScorer *scorer = decided->scorer;
	const char *label = decided->label;
	int			class;

	if (shape->nlabels == 0)
		return;
	if (label != NULL)
		list(row, find_label(shape, label, decided->label_length));
	else if (decided->output != NULL && !isnan(decided->output[0]))
	{
		class = ml_model_class(scorer->model, decided->output, scorer->resolved.threshold);
		label = scorer->model->recipe->target.class_label[class];
		list(row, scorer == answer->scorer ? ML_COUNT_LABEL(class) : find_label(shape, label, strlen(label)));
	}
}

static void
list_checks(const MlCountsShape *shape, const MlAnswer *answer, Row *row)
{
	if (answer->barred)
		list(row, ML_COUNT_BARRED);
	for (int i = 0; i < shape->nchecks; i++)
		if (answer->failed & (UINT64CONST(1) << i))
			list(row, ML_COUNT_CHECK(shape, i));
}

static void
list_rules(const MlCountsShape *shape, const MlScorer *scorer, Row *row)
{
	MlFired		fired = ml_score_fired(scorer);

	if (fired.errors != 0)
		list(row, ML_COUNT_RULE_ERRORS);
	for (int i = 0; i < shape->nrules; i++)
		if (fired.rules & (UINT64CONST(1) << i))
			list(row, ML_COUNT_RULE(shape, i));
}

void
ml_count(const MlAnswer *answer)
{
	MlScorer   *scorer = answer->scorer;
	MlCounts   *counts = scorer->counts;
	const MlCountsShape *shape = &counts->shape;
	Row			row;

	if (ml_watch_planning > 0)
		return;
	begin_row(counts, &row);
	if (!answer->is_row)
		list(&row, ML_COUNT_NULL_ROWS);
	else
	{
		list_prediction(&shape->block[0], scorer, answer->output, &row);
		list_label(shape, answer, &row);
		if (answer->checked)
			list_checks(shape, answer, &row);
		if (answer->ruled)
			list_rules(shape, scorer, &row);
		if (answer->columns == NULL)
			list_features(shape, &scorer->row, &row);
		if (row.weight > 0 && answer->columns != NULL)
			list_column_bins(counts, scorer, answer->columns, &row);
		else if (row.weight > 0)
			list_bins(shape, &scorer->row, &row);
	}
	end_row(counts, &row);
}

/* ---- columns that need not be encoded ---- */

static pg_noinline void
count_column_bins(MlCounts *counts, const MlScorer *scorer, const NullableDatum *column, uint32 weight)
{
	uint32	   *at = counts->journal + counts->njournal;

	find_bins(counts, column, scorer->direct_position, scorer->nfloats, at);
	for (int i = 0; i < scorer->nfloats; i++)
		counts->counter[at[i]] += weight;
	counts->counter[ML_COUNT_BINNED]++;
}

static inline uint32
place_prediction(const MlCounts *counts, double prediction)
{
	const MlCountsColumn *bins = &counts->prediction;

	return bins->first_bin + ml_profile_bin(bins->low, bins->high, bins->per_unit, prediction);
}

/* a row that leaves its mark in the journal */
static pg_noinline void
count_columns_listed(MlScorer *scorer, const NullableDatum *column, double prediction)
{
	MlCounts   *counts = scorer->counts;
	Row			row;

	begin_row(counts, &row);
	list(&row, place_prediction(counts, prediction));
	if (counts->shape.nlabels > 0)
		list(&row, counts->label[prediction >= scorer->resolved.threshold]);
	if (row.weight > 0)
		list_column_bins(counts, scorer, column, &row);
	end_row(counts, &row);
}

/* a model that gives one number and reads columns as they are; column: that of number 0 */
void
ml_count_columns(MlScorer *scorer, const NullableDatum *column, double prediction)
{
	MlCounts   *counts = scorer->counts;
	uint32	   *counter = counts->counter;
	uint32		weight;

	if (unlikely(ml_watch_planning > 0))
		return;
	if (unlikely(counts->nrows < ML_COUNTS_JOURNAL))
	{
		count_columns_listed(scorer, column, prediction);
		return;
	}
	counter[ML_COUNT_ROWS]++;
	counter[place_prediction(counts, prediction)]++;
	if (counts->shape.nlabels > 0)
		counter[counts->label[prediction >= scorer->resolved.threshold]]++;
	weight = draw(counts);
	if (unlikely(weight > 0))
		count_column_bins(counts, scorer, column, weight);
	if (unlikely(++counts->nrows >= ML_COUNTS_ROWS))
		ml_counts_publish_one(counts);
}
