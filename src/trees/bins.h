/*
 * bins.h
 *		What trees see of the rows: a byte a feature, the number of its bin.
 *
 * A number's bins are cut at weighted quantiles of a sample; where there are
 * few distinct values each has a bin of its own. A category's codes are its
 * bins. Features with one bin tell nothing and are left out. The bytes are kept
 * twice: row by row, which is how histograms read them, and column by column,
 * which is how the rows of a node are parted.
 */
#ifndef ML_TREES_BINS_H
#define ML_TREES_BINS_H

#include "learn/algorithm.h"
#include "recipe/recipe.h"

#define ML_MAX_BINS		255		/* of a feature, the one of missing values included */

typedef struct MlBinFeature
{
	int			split;			/* as MlTreeNode.split names it */
	int			feature;		/* of the recipe */
	bool		category;
	int			nbins;
	int			nvalues;		/* bins of values: all but the one of missing numbers */
	int			missing;		/* bin of missing numbers, the last; -1: none */
	int			first;			/* its first bin in a histogram of all features */
	double	   *cut;			/* number, nvalues - 1: bin b holds cut[b - 1] <= x < cut[b] */
	int			ncodes;			/* category */
	uint8	   *code_bin;		/* category: bin of each code */
} MlBinFeature;

typedef struct MlBins
{
	int64		nrows;
	int			nfeatures;
	MlBinFeature *feature;
	int			nbins;			/* of all features together */
	int			stride;			/* bytes of a row */
	uint8	   *row;			/* nrows x stride */
	uint8	   *column;			/* nfeatures x nrows */
} MlBins;

/* at most max_bins bins a feature, from a sample of a fit's rows; no rows yet */
extern MlBins *ml_bins_make(const MlFit *fit, int max_bins);

/* the bytes of all rows; bins->row and column may have been given memory */
extern void ml_bins_fill(MlBins *bins, const MlFit *fit);

/*
 * The values of a sample, where weight[i] stands beside value[i] (NULL: 1), to
 * ascending cuts, at most max_values - 1; returns the number of bins. Both
 * arrays are overwritten; the work has room for as many each.
 */
extern int	ml_bins_cut(double *value, double *weight, int n, int max_values, double *cut,
						double *work, double *weight_work);

#endif							/* ML_TREES_BINS_H */
