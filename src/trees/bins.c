/*
 * bins.c
 *		Rows become bytes.
 *
 * Cuts come from at most SAMPLE_ROWS rows, taken in blocks evenly over all
 * rows; rows are in random order, so that is a random sample, and with fewer
 * rows it is all of them. Then every row is read once.
 */
#include "postgres.h"

#include <math.h>

#include "learn/driver.h"
#include "miscadmin.h"
#include "trees/bins.h"

#define SAMPLE_ROWS		200704	/* 196 blocks */
#define SAMPLE_VALUES	33554432	/* wide rows: fewer of them, but no less than... */
#define SAMPLE_LEAST	20480
#define ROW_ALIGN		8
#define TABLE			256		/* cuts of a feature, filled up with infinity */
#define LANES			16

/* the sample of all features */
typedef struct Sample
{
	int			n;
	double	   *value;			/* nnumbers x n */
	double	   *weight;			/* n; NULL: 1 */
	double	  **code_weight;	/* ncategories: weight of each code */
	bool	   *missing;		/* nnumbers: rows may lack it */
} Sample;

static int64
sample_rows(const MlFit *fit)
{
	int			nnumbers = Max(fit->rows->recipe->nnumbers, 1);
	int64		rows = Min(SAMPLE_ROWS, Max(SAMPLE_LEAST, SAMPLE_VALUES / nnumbers));

	return Min(fit->rows->nrows, rows);
}

static void
sample_block(const MlFit *fit, Sample *sample, int capacity, int64 first, int n)
{
	const MlDesignMatrix *rows = fit->rows;
	const MlRecipe *recipe = rows->recipe;
	const MlBlock *block = rows->read_block(rows->arg, first, n);

	for (int j = 0; j < recipe->nnumbers; j++)
	{
		memcpy(sample->value + (Size) j * capacity + sample->n, block->number[j], n * sizeof(double));
		sample->missing[j] = !block->complete[j];
	}
	if (rows->weight)
		memcpy(sample->weight + sample->n, rows->weight + first, n * sizeof(double));
	for (int c = 0; c < recipe->ncategories; c++)
		for (int i = 0; i < n; i++)
			sample->code_weight[c][block->code[(Size) c * n + i]] +=
				rows->weight ? rows->weight[first + i] : 1;
	sample->n += n;
}

/* blocks evenly spread over all rows */
static Sample *
take_sample(const MlFit *fit, int *capacity)
{
	const MlDesignMatrix *rows = fit->rows;
	const MlRecipe *recipe = rows->recipe;
	Sample	   *sample = ml_fit_alloc(fit, 1, sizeof(Sample), "sample for the bins");
	int64		nblocks = (rows->nrows + ML_BLOCK_ROWS - 1) / ML_BLOCK_ROWS;
	int64		ntaken = (sample_rows(fit) + ML_BLOCK_ROWS - 1) / ML_BLOCK_ROWS;

	*capacity = (int) (ntaken * ML_BLOCK_ROWS);
	sample->value = ml_fit_alloc(fit, (Size) *capacity * Max(recipe->nnumbers, 1), sizeof(double),
								 "sample for the bins");
	if (rows->weight)
		sample->weight = ml_fit_alloc(fit, *capacity, sizeof(double), "sample for the bins");
	sample->missing = ml_fit_alloc(fit, recipe->nnumbers, sizeof(bool), "sample for the bins");
	sample->code_weight = ml_fit_alloc(fit, recipe->ncategories, sizeof(double *), "sample for the bins");
	for (int j = 0; j < recipe->nfeatures; j++)
		if (recipe->features[j].kind == ML_KIND_CATEGORY)
			sample->code_weight[recipe->features[j].category] =
				ml_fit_alloc(fit, ML_NCODES(&recipe->features[j]), sizeof(double), "sample for the bins");
	for (int64 b = 0; b < ntaken; b++)
	{
		int64		first = b * nblocks / ntaken * ML_BLOCK_ROWS;

		CHECK_FOR_INTERRUPTS();
		sample_block(fit, sample, *capacity, first, (int) Min(ML_BLOCK_ROWS, rows->nrows - first));
	}
	return sample;
}

/* what ml_bins_cut overwrites */
typedef struct CutWork
{
	double	   *value;
	double	   *weight;
	double	   *spare;
	double	   *spare_weight;
} CutWork;

static void
bin_number(const MlFit *fit, const Sample *sample, const double *value, int max_bins,
		   CutWork *work, MlBinFeature *f)
{
	int			n = 0;

	for (int i = 0; i < sample->n; i++)
	{
		if (isnan(value[i]))
			continue;
		work->value[n] = value[i];
		if (sample->weight)
			work->weight[n] = sample->weight[i];
		n++;
	}
	f->cut = ml_fit_alloc(fit, TABLE, sizeof(double), "cuts of the bins");
	for (int b = 0; b < TABLE; b++)
		f->cut[b] = INFINITY;
	f->nvalues = ml_bins_cut(work->value, sample->weight ? work->weight : NULL, n,
							 max_bins - (f->missing >= 0), f->cut, work->spare, work->spare_weight);
	if (f->nvalues == 0)
		f->nvalues = 1;
	f->nbins = f->nvalues;
	if (f->missing >= 0)
		f->missing = f->nbins++;
}

static int
heavier_first(const void *a, const void *b, void *arg)
{
	const double *weight = arg;
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	if (weight[x] != weight[y])
		return weight[x] > weight[y] ? -1 : 1;
	return x < y ? -1 : 1;
}

/* the codes are the bins; of too many the lightest share the last one */
static void
bin_category(const MlFit *fit, double *weight, int max_bins, MlBinFeature *f)
{
	int		   *order = palloc(sizeof(int) * f->ncodes);

	f->code_bin = ml_fit_alloc(fit, f->ncodes, 1, "bins of the codes");
	f->nbins = f->nvalues = Min(f->ncodes, max_bins);
	for (int c = 0; c < f->ncodes; c++)
		order[c] = c;
	if (f->ncodes > max_bins)
		qsort_arg(order, f->ncodes, sizeof(int), heavier_first, weight);
	for (int i = 0; i < f->ncodes; i++)
		f->code_bin[order[i]] = Min(i, f->nbins - 1);
	pfree(order);
}

/* appends a feature of the recipe unless it has one bin only */
static void
keep_feature(MlBins *bins, MlBinFeature *f)
{
	if (f->nbins < 2)
		return;
	f->first = bins->nbins;
	bins->nbins += f->nbins;
	bins->feature[bins->nfeatures++] = *f;
}

static void
make_features(const MlFit *fit, MlBins *bins, int max_bins)
{
	const MlRecipe *recipe = fit->rows->recipe;
	int			capacity;
	Sample	   *sample = take_sample(fit, &capacity);
	CutWork		work;

	work.value = ml_fit_alloc(fit, capacity, sizeof(double), "sample for the bins");
	work.weight = ml_fit_alloc(fit, capacity, sizeof(double), "sample for the bins");
	work.spare = ml_fit_alloc(fit, capacity, sizeof(double), "sample for the bins");
	work.spare_weight = ml_fit_alloc(fit, capacity, sizeof(double), "sample for the bins");
	bins->feature = ml_fit_alloc(fit, recipe->nnumbers + recipe->ncategories, sizeof(MlBinFeature),
								 "bins of the features");
	for (int j = 0; j < recipe->nnumbers; j++)
	{
		MlBinFeature f = {.split = j, .feature = recipe->numbers[j].feature};

		CHECK_FOR_INTERRUPTS();
		if (j == recipe->offset_number)
			continue;
		f.missing = sample->missing[j] ? 0 : -1;
		bin_number(fit, sample, sample->value + (Size) j * capacity, max_bins, &work, &f);
		keep_feature(bins, &f);
	}
	for (int j = 0; j < recipe->nfeatures; j++)
	{
		MlBinFeature f = {.feature = j, .category = true, .missing = -1};

		if (recipe->features[j].kind != ML_KIND_CATEGORY)
			continue;
		f.split = recipe->nnumbers + recipe->features[j].category;
		f.ncodes = ML_NCODES(&recipe->features[j]);
		bin_category(fit, sample->code_weight[recipe->features[j].category], max_bins, &f);
		keep_feature(bins, &f);
	}
	ml_aligned_free(sample->value);
	ml_aligned_free(work.value);
	ml_aligned_free(work.weight);
	ml_aligned_free(work.spare);
	ml_aligned_free(work.spare_weight);
}

/*
 * The bin of each value is the number of cuts that are not above it: a binary
 * search without branches, of LANES values side by side.
 */
static inline void
search_lanes(const double *cut, int half, const double *value, uint8 *bin)
{
	int			at[LANES] = {0};

	for (; half > 0; half /= 2)
		for (int l = 0; l < LANES; l++)
			at[l] += half & -(int) (cut[at[l] + half - 1] <= value[l]);
	for (int l = 0; l < LANES; l++)
		bin[l] = at[l];
}

static void
find_bins(const MlBinFeature *f, const double *value, int n, uint8 *bin)
{
	double		last[LANES] = {0};
	uint8		last_bin[LANES];
	int			half = 1;
	int			i;

	while (half * 2 < f->nvalues)
		half *= 2;
	for (i = 0; i + LANES <= n; i += LANES)
		search_lanes(f->cut, half, value + i, bin + i);
	if (i < n)
	{
		memcpy(last, value + i, (n - i) * sizeof(double));
		search_lanes(f->cut, half, last, last_bin);
		memcpy(bin + i, last_bin, n - i);
	}
	if (f->missing >= 0)
		for (i = 0; i < n; i++)
			if (isnan(value[i]))
				bin[i] = f->missing;
}

static void
fill_block(MlBins *bins, const MlRecipe *recipe, const MlBlock *block, int64 first)
{
	for (int k = 0; k < bins->nfeatures; k++)
	{
		const MlBinFeature *f = &bins->feature[k];
		uint8	   *column = bins->column + (Size) k * bins->nrows + first;
		uint8	   *row = bins->row + (Size) first * bins->stride + k;

		if (!f->category)
			find_bins(f, block->number[f->split], block->n, column);
		else
		{
			const int32 *code = block->code + (Size) (f->split - recipe->nnumbers) * block->n;

			for (int i = 0; i < block->n; i++)
				column[i] = f->code_bin[code[i]];
		}
		for (int i = 0; i < block->n; i++)
			row[(Size) i * bins->stride] = column[i];
	}
}

MlBins *
ml_bins_make(const MlFit *fit, int max_bins)
{
	MlBins	   *bins = ml_fit_alloc(fit, 1, sizeof(MlBins), "bins of the rows");

	bins->nrows = fit->rows->nrows;
	make_features(fit, bins, max_bins);
	bins->stride = TYPEALIGN(ROW_ALIGN, Max(bins->nfeatures, 1));
	return bins;
}

void
ml_bins_fill(MlBins *bins, const MlFit *fit)
{
	const MlDesignMatrix *rows = fit->rows;

	if (bins->row == NULL)
		bins->row = ml_fit_alloc(fit, rows->nrows, bins->stride, "bins of the rows");
	if (bins->column == NULL)
		bins->column = ml_fit_alloc(fit, rows->nrows, Max(bins->nfeatures, 1), "bins of the rows");
	for (int64 first = 0; first < rows->nrows; first += ML_BLOCK_ROWS)
	{
		int			n = (int) Min(ML_BLOCK_ROWS, rows->nrows - first);

		CHECK_FOR_INTERRUPTS();
		fill_block(bins, rows->recipe, rows->read_block(rows->arg, first, n), first);
	}
}
