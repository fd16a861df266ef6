/*
 * predictor.h
 *		What learners make and what scores: the kinds of predictors, as data.
 *
 * A predictor takes an encoded row (recipe.h) to outputs. Learners (algo/)
 * fill these structs in; routine.h says how each kind is written, read, and
 * predicts. Everything here is plain data, so that a learner needs no function
 * of this room.
 *
 * Outputs by task, after the link and the calibration:
 *   regression   1: the value
 *   binary       1: P(positive class)
 *   multiclass   one per class, in the order of the target's classes; sum 1
 *   cluster      1: number of the cluster, from 1
 *   anomaly      1: the score, from 0 to 1, higher is more anomalous
 *   projection   none; see transform
 *
 * Design columns are those of the recipe's design, encoded numbers and codes
 * those of its encoded row. Arrays of k rows and n columns are row-major
 * unless said otherwise. All numbers are finite unless said otherwise.
 */
#ifndef ML_PREDICTOR_H
#define ML_PREDICTOR_H

#include "postgres.h"

/* from the linear predictor eta to an output */
typedef enum MlLink
{
	ML_LINK_IDENTITY,			/* eta */
	ML_LINK_LOGIT,				/* 1 / (1 + exp(-eta)) */
	ML_LINK_LOG,				/* exp(eta) */
	ML_LINK_PROBIT,				/* the normal distribution function */
	ML_LINK_INVERSE,			/* 1 / eta */
	ML_LINK_SQRT,				/* eta^2 */
	ML_LINK_SOFTMAX,			/* exp(eta_c) / sum exp(eta) */
	ML_LINK_HALVING				/* 2^-eta: anomaly scores of isolation forests */
} MlLink;

#define ML_LAST_LINK ML_LINK_HALVING

typedef enum MlPredictorKind
{
	ML_PREDICTOR_LINEAR,
	ML_PREDICTOR_BAYES,
	ML_PREDICTOR_TREES,
	ML_PREDICTOR_CENTRES,
	ML_PREDICTOR_PROJECTION,
	ML_PREDICTOR_NETWORK,
	ML_PREDICTOR_GROUPED
} MlPredictorKind;

#define ML_NPREDICTORS (ML_PREDICTOR_GROUPED + 1)

/* what every kind begins with */
typedef struct MlPredictor
{
	MlPredictorKind kind;
} MlPredictor;

/* one row of mlops_coefficients(): NaN becomes NULL */
typedef struct MlCoefficient
{
	double		estimate;		/* NaN: the column was dropped as collinear */
	double		std_error;
	double		statistic;		/* t or z */
	double		p_value;
} MlCoefficient;

/*
 * eta_o = intercept[o] + sum over design columns j of coefficient[o][j] * x[j],
 * in the original units; plus the offset.
 */
typedef struct MlLinear
{
	MlPredictor base;
	MlLink		link;
	int			noutputs;		/* classes with ML_LINK_SOFTMAX, else 1 */
	bool		has_intercept;
	MlCoefficient *intercept;	/* noutputs; estimate 0 without an intercept */
	MlCoefficient *coefficient; /* noutputs x ndesign; NULL: a constant */
	const char *statistic_name; /* "t", "z", or NULL when there is no inference */
	double	   *class_share;	/* baseline of several classes: the outputs themselves; or NULL */

	/* made by compile, over the encoded row; see linear.c */
	double	   *term_base;		/* noutputs */
	double	   *number_weight;	/* noutputs x nnumbers */
	double	   *number_missing; /* noutputs x nnumbers */
	double	  **category_weight;	/* ncategories, each noutputs x ML_NCODES */
} MlLinear;

/*
 * log P(class c, row) = log_prior[c]
 *   + sum over numbers k that are not missing of the normal log density with
 *     mean[k][c] and variance[k][c]
 *   + sum over categories g of log_share[g][code][c]
 * A number of variance NaN in all classes tells nothing and is left out. For
 * BINARY class 1 is the positive one.
 */
typedef struct MlBayes
{
	MlPredictor base;
	int			nclasses;
	int			noutputs;		/* 1 for BINARY, else nclasses */
	double	   *log_prior;		/* nclasses */
	double	   *mean;			/* nnumbers x nclasses */
	double	   *variance;		/* nnumbers x nclasses, > 0 or NaN */
	double	  **log_share;		/* ncategories, each ML_NCODES x nclasses */

	/* made by compile: log density = peak - steepness (x - mean)^2 */
	double	   *peak;			/* nnumbers x nclasses; NaN: the number is left out */
	double	   *steepness;		/* nnumbers x nclasses */
} MlBayes;

/*
 * A node of a tree. Values below the threshold, and codes whose bit is set, go
 * left. Children follow their parent in node[].
 */
typedef struct MlTreeNode
{
	int32		split;			/* -1: leaf; k < nnumbers: number k; nnumbers + g: category g */
	int32		left;			/* left child in node[]; the right one is left + 1 */
	bool		missing_left;	/* where a number that is missing goes */
	double		threshold;		/* number: value < threshold goes left */
	int32		set;			/* category: first of the words of its bitmap in set[] */
	double		value;			/* leaf: what it adds to eta */
	double		cover;			/* weight of the training rows that came here; > 0 */
	double		gain;			/* inner node: what the split gained */
} MlTreeNode;

/* words of the bitmap over the codes of a category */
#define ML_TREE_SET_WORDS(ncodes) (((ncodes) + 31) / 32)

#define ML_TREE_MAX_DEPTH	512	/* of leaves; the root's is 0 */

/*
 * eta_o = base_score[o] + sum (or mean) over the trees of output o of the value
 * of the leaf that the row falls into.
 */
typedef struct MlTrees
{
	MlPredictor base;
	MlLink		link;
	int			noutputs;		/* classes with several, else 1 */
	bool		mean;			/* average the trees of an output instead of adding them */
	bool		single;			/* values are rounded to float4 first, as XGBoost does */
	double	   *base_score;		/* noutputs */
	int			ntrees;
	int32	   *root;			/* ntrees: first node of each tree, ascending from 0 */
	int32	   *output;			/* ntrees: the output that it adds to */
	int32		nnodes;
	MlTreeNode *node;
	int32		nset;
	uint32	   *set;

	void	   *compiled;		/* made by compile; see trees.c */
} MlTrees;

/*
 * The cluster whose centre is nearest to z, z[j] = (x[j] - shift[j]) * scale[j]
 * over the design columns; the first of equally near ones.
 */
typedef struct MlCentres
{
	MlPredictor base;
	int			nclusters;
	double	   *shift;			/* ndesign */
	double	   *scale;			/* ndesign */
	double	   *centre;			/* nclusters x ndesign, in units of z */
	double	   *weight;			/* nclusters: of the training rows in it */
	double	   *inertia;		/* nclusters: sum of squared distances to the centre */
} MlCentres;

/*
 * transform: t[q] = sum_j component[q][j] * (x[j] - shift[j]) * scale[j],
 * divided by sqrt(variance[q]) if whiten.
 */
typedef struct MlProjection
{
	MlPredictor base;
	int			ncomponents;
	bool		whiten;
	double	   *shift;			/* ndesign */
	double	   *scale;			/* ndesign */
	double	   *component;		/* ncomponents x ndesign; each of length 1 */
	double	   *variance;		/* ncomponents, descending, > 0 */
	double		total_variance;
} MlProjection;

typedef enum MlActivation
{
	ML_ACTIVATION_RELU, ML_ACTIVATION_TANH, ML_ACTIVATION_LOGISTIC
} MlActivation;

/*
 * h_0 = z over the design columns; h_l = activation(weight_l h_(l-1) + bias_l);
 * eta = the last layer without activation. transform gives the last hidden
 * layer.
 */
typedef struct MlNetworkLayer
{
	int			ninputs;
	int			nunits;
	double	   *weight;			/* nunits x ninputs */
	double	   *bias;			/* nunits */

	double	   *across;			/* made by compile: ninputs x nunits */
} MlNetworkLayer;

typedef struct MlNetwork
{
	MlPredictor base;
	MlLink		link;			/* IDENTITY, LOGIT or SOFTMAX */
	MlActivation activation;
	double	   *shift;			/* ndesign */
	double	   *scale;			/* ndesign */
	int			nlayers;		/* hidden ones and the output: 2 or 3 */
	MlNetworkLayer *layer;
} MlNetwork;

/*
 * What is done to a classifier's probability at last. PLATT: of the log-odds f
 * of P, 1 / (1 + exp(-(slope * f + shift))); P of 0 or 1 counts as the nearest
 * number to it. ISOTONIC: linear between points,
 * constant outside. With several classes each class has its own, and the
 * results are scaled to sum 1.
 */
typedef enum MlCalibrationKind
{
	ML_CALIBRATION_NONE, ML_CALIBRATION_PLATT, ML_CALIBRATION_ISOTONIC
} MlCalibrationKind;

typedef struct MlCalibrationMap
{
	double		slope;			/* PLATT */
	double		shift;
	int			npoints;		/* ISOTONIC: at least 1 */
	double	   *x;				/* ascending probabilities before */
	double	   *y;				/* not descending probabilities after */
} MlCalibrationMap;

typedef struct MlCalibration
{
	MlCalibrationKind kind;		/* not NONE */
	int			nmaps;			/* 1 for BINARY, else one per class */
	MlCalibrationMap *map;
} MlCalibration;

/*
 * A predictor for each group of rows (MlRecipe.group) that is large enough, all
 * of one kind's outputs, and the pooled one of all rows for the others: other
 * values, NULL. They see the group feature masked (ml_recipe_within_group).
 */
typedef struct MlGroup
{
	double		key;			/* the number, or the code of the level */
	MlPredictor *predictor;		/* of any kind but this */
} MlGroup;

typedef struct MlGrouped
{
	MlPredictor base;
	MlPredictor *pooled;
	int			ngroups;
	MlGroup    *group;			/* ascending by key */

	/* made by compile */
	struct MlRecipe *within;
	int32	   *of_code;		/* of a category: index in group[] of each level, -1: none */
} MlGrouped;

#endif							/* ML_PREDICTOR_H */
