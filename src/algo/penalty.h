/*
 * penalty.h
 *		The elastic net penalty and its path, which linear_regression and
 *		logistic_regression share.
 *
 * l1 sum |d_j b_j| + l2/2 sum (d_j b_j)^2 is added to half the residual sum of
 * squares, or to the negative log-likelihood: sums, not means, so that a
 * penalty is worth a number of rows. d_j is the standard deviation (divisor: the
 * sum of weights) of a measured column and 1 for a 0/1 column.
 *
 * A path tries lambdas from the smallest that leaves no coefficient down to
 * path_ratio of it, equally far apart as logarithms, with l1 = lambda *
 * path_l1_ratio and l2 = lambda * (1 - path_l1_ratio); each starts from the
 * solution before it. Friedman, Hastie & Tibshirani, J. Statistical Software
 * 33/1 (2010), section 2.5.
 */
#ifndef ML_ALGO_PENALTY_H
#define ML_ALGO_PENALTY_H

#include "learn/driver.h"

/* what chooses from a path */
typedef enum MlPathKind
{
	ML_PATH_NONE, ML_PATH_HOLDOUT, ML_PATH_AIC, ML_PATH_BIC
} MlPathKind;

typedef struct MlPenaltyParams
{
	double		l1;
	double		l2;
	int			path;			/* MlPathKind */
	int64		path_lambdas;
	double		path_ratio;
	double		path_l1_ratio;
	double		path_holdout;
} MlPenaltyParams;

extern const char *const ml_path_names[];

/* rows of a table of parameters; objective ends the sentences: "half the residual sum of squares" */
#define ML_PENALTY_PARAMS(type, member, objective) \
	{"l1", ML_PARAM_FLOAT, offsetof(type, member.l1), 0, 0, INFINITY, NULL, \
	"lasso penalty: l1 times the sum of absolute coefficients, in standardised units, is added to " objective}, \
	{"l2", ML_PARAM_FLOAT, offsetof(type, member.l2), 0, 0, INFINITY, NULL, \
	"ridge penalty: l2 / 2 times the sum of squared coefficients, in standardised units, is added to " objective}, \
	{"path", ML_PARAM_ENUM, offsetof(type, member.path), ML_PATH_NONE, 0, 3, ml_path_names, \
	"how to choose the penalty from a path of them: by rows held out of the fit, or by an information criterion"}, \
	{"path_lambdas", ML_PARAM_INT, offsetof(type, member.path_lambdas), 50, 2, 1000, NULL, \
	"penalties of the path"}, \
	{"path_ratio", ML_PARAM_FLOAT, offsetof(type, member.path_ratio), 1e-4, 1e-12, 0.99, NULL, \
	"smallest penalty of the path, relative to the largest"}, \
	{"path_l1_ratio", ML_PARAM_FLOAT, offsetof(type, member.path_l1_ratio), 1, 0, 1, NULL, \
	"part of each penalty of the path that is l1; the rest is l2"}, \
	{"path_holdout", ML_PARAM_FLOAT, offsetof(type, member.path_holdout), 0.2, 0.01, 0.9, NULL, \
	"share of the training rows that path holdout judges by"}

/* coefficients are not those of maximum likelihood */
extern bool ml_is_penalised(const MlPenaltyParams *p);

/* refuses l1 and l2 beside a path */
extern void ml_penalty_check(const MlPenaltyParams *p);

/* refuses to hold out rows that are elsewhere: they come in no order */
extern void ml_penalty_check_elsewhere(const MlPenaltyParams *p, const MlFit *fit);

/* rows that a path by hold-out fits on, of nrows: the first ones; else nrows */
extern int64 ml_path_rows(const MlPenaltyParams *p, int64 nrows);

typedef struct MlPath
{
	const MlPenaltyParams *params;
	int			n;
	double	   *lambda;			/* descending */
	double	   *criterion;		/* of those tried; smaller is better */
	double	   *nonzero;
	int			tried;
	int			best;
} MlPath;

/* before any row is read: memory */
extern void ml_path_alloc(MlPath *path, const MlFit *fit, const MlPenaltyParams *p);

/* gradient: the largest of a standardised column where all coefficients are 0 */
extern void ml_path_begin(MlPath *path, double gradient);

static inline double
ml_path_l1(const MlPath *path, int i)
{
	return path->lambda[i] * path->params->path_l1_ratio;
}

static inline double
ml_path_l2(const MlPath *path, int i)
{
	return path->lambda[i] * (1 - path->params->path_l1_ratio);
}

/* what lambda[tried] came to; false: there is no use in smaller ones */
extern bool ml_path_add(MlPath *path, double criterion, int nonzero);

/* aic or bic from -2 log-likelihood; infinite where most of the rows are used up, since both trust in many */
extern double ml_path_information(const MlPath *path, double deviance, double df, double nrows);

/* facts l1, l2 and nonzero of a penalised fit; series and a note of a path (NULL: none) */
extern void ml_penalty_report(const MlPath *path, double l1, double l2, int nonzero, MlFitted *fitted);

#endif							/* ML_ALGO_PENALTY_H */
