/*
 * multinomial.h
 *		What the files of the fit of several classes share: its start
 *		(multinomial_start.c), the fold (multinomial.c), its rows
 *		(multinomial_rows.c), its steps by Newton's method (multinomial_step.c) or
 *		from gradients alone (multinomial_quasi.c), passes in SQL
 *		(multinomial_pass.c) and its report (multinomial_report.c).
 *
 * Everything here is in the units of Z: z = (x - centre) * unit. Vectors and
 * matrices of coefficients have k entries for each free class, in order.
 */
#ifndef ML_ALGO_MULTINOMIAL_H
#define ML_ALGO_MULTINOMIAL_H

#include "algo/logistic.h"
#include "num/coordinate.h"
#include "num/lbfgs.h"
#include "num/softmax.h"

/* what the passes are for */
typedef enum MlMultinomialStage
{
	ML_STAGE_MOMENTS,			/* one pass: second moments, the constant model */
	ML_STAGE_SAMPLE,			/* a start from a part of the rows */
	ML_STAGE_PATH,				/* one penalty of the path after the other */
	ML_STAGE_ALL				/* the fit */
} MlMultinomialStage;

typedef struct Multinomial
{
	const MlFit *fit;
	const MlLogisticParams *params;
	int			p;				/* design columns */
	int			first;			/* Z's column of design column 0: 1 with an intercept, else 0 */
	int			k;				/* columns of Z */

	/* classes that occur; the first of them has no coefficients if there is no penalty, or if there are two */
	int			nclasses;
	int			base;			/* classes without coefficients: 0 or 1 */
	int			nfree;			/* nclasses - base */
	int		   *place;			/* by label: which of the classes that occur, -1: none */
	int		   *label;			/* and back */
	int			npairs;
	int			n;				/* nfree * k */

	/* one block; columns have a multiple of ML_SOFTMAX_ROWS rows */
	double	   *z;
	double	   *eta;			/* nclasses */
	double	   *residual;		/* nclasses */
	double	   *root;			/* nclasses */
	double	   *y;
	double	   *weight;
	double	   *root_weight;
	double	   *row;
	double	   *scaled;			/* as z */

	/* k */
	double	   *centre;
	double	   *unit;
	double	   *deviation;		/* what a unit of l1 costs: the deviation in units of Z; 0 of the intercept */
	double	   *work;
	int			nkept;			/* columns that stand on their own */
	int		   *kept;

	/* n each */
	double	   *beta;			/* where the next pass looks */
	double	   *accepted;		/* where step starts */
	double	   *step;
	double	   *chosen;			/* best of the path */
	double	   *l1;
	double	   *l2;
	double	   *null;			/* the constant model */

	/* a fit by L-BFGS, whose vectors beta, accepted and step are, and which has nothing of what follows */
	bool		large;
	MlLbfgs		lbfgs;
	double	   *weigh;			/* n: curvature of the likelihood at the constant model */
	double	   *curvature;		/* n: of the objective, for rows as many as the pass has */
	double	   *slope;			/* n: gradient of the objective at beta */

	/* m x m, m = nfree * nkept <= n */
	double	   *information;
	double	   *factor;			/* of the information with l2, at accepted */
	double	   *right;			/* m */
	double		balance;		/* weight of the squared sum of intercepts, which the likelihood leaves open */
	MlCoordinate descent;

	double	   *class_weight;	/* nclasses */
	double		weight_sum;
	double		part_weight;	/* of the rows that the path fits on */
	double		null_log_likelihood;
	double		largest;		/* gradient of a standardised column at the constant model */

	/* where the fit is */
	MlMultinomialStage stage;
	MlPath		path;
	int			lambda;			/* of the path */
	double		now_l1;			/* of all rows */
	double		now_l2;
	int64		sample;			/* rows of a pass; 0: all */
	int64		fitted_rows;	/* the others are held out */
	bool		unpenalised;
	bool		begins;			/* this is the first pass with these rows and penalties */
	int			stage_passes;
	int			passes;
	int			iterations;		/* Newton steps on all rows, after a path */
	int			halvings;		/* of the step being tried */
	bool		closing;		/* the deviance has converged: a few more steps */
	int			closing_passes;
	int			turning_passes; /* of these, with rows that still moved */
	double		objective;		/* at accepted */
	double		log_likelihood;
	double		held_log_likelihood;
	double		promise;		/* change of the deviance that step should bring */
	double		relative_change;
	double		previous_change;
} Multinomial;

/* sums over rows */
typedef struct MlMultinomialState
{
	int64		any;			/* of rows: least_margin counts */
	double		log_likelihood;
	double		held_log_likelihood;
	double		held_weight;
	double		least_margin;
	double		least_turn;		/* of what the last step changed a row's class by, beside another class */
	double		most_turn;
	double		number[FLEXIBLE_ARRAY_MEMBER];	/* gradient: nclasses x k; one k x k for each pair of classes */
} MlMultinomialState;

/* pair c < d */
#define ML_PAIR(m, c, d) ((Size) (c) * (m)->nclasses - (Size) (c) * ((c) + 1) / 2 + (d) - (c) - 1)

/* ---- multinomial_start.c ---- */

extern void *ml_multinomial_start(const MlFit *fit);

/* which classes occur, by the weights of all, and what is as many as they are */
extern void ml_multinomial_take_classes(Multinomial *m, const double *weight);

/* ---- multinomial_pass.c ---- */

extern int	ml_multinomial_pass_size(void *fit);
extern void ml_multinomial_pass_save(void *fit, double *pass);
extern bool ml_multinomial_pass_load(void *fit, int n, const double *pass);

/* ---- multinomial_rows.c ---- */

extern Size ml_multinomial_numbers(const Multinomial *m);
extern void ml_multinomial_consume(void *fit, void *state, int n, const double *x, const double *y,
								   const double *weight, int64 first);
extern void ml_multinomial_merge(void *fit, void *state, const void *other);

/* ---- multinomial_step.c ---- */

/* share of all rows' weight that the pass sees: a penalty counts whole for all rows */
extern double ml_multinomial_share_of_rows(const Multinomial *m);

/* penalties of the stage, from now_l1 and now_l2 */
extern void ml_multinomial_penalise(Multinomial *m);

/* log-likelihood with its sign changed, and the penalties, at beta */
extern double ml_multinomial_objective(const Multinomial *m, double log_likelihood);

/* the step from accepted and what it promises; false: the information is singular */
extern bool ml_multinomial_step(Multinomial *m, const MlMultinomialState *s);

/* factor = that of the information with l2; false: it is singular */
extern bool ml_multinomial_factor(Multinomial *m);

extern int	ml_multinomial_nonzero(const Multinomial *m);

/* trace of the hat matrix at accepted */
extern double ml_multinomial_df(Multinomial *m);

/* largest violation of the optimality conditions at accepted, relative to the gradient of the constant model */
extern double ml_multinomial_violation(const Multinomial *m, const MlMultinomialState *s);

/* ---- multinomial_quasi.c ---- */

extern void ml_multinomial_quasi_alloc(Multinomial *m);

/* after the first pass: squares, or second moments without a penalty */
extern void ml_multinomial_quasi_weigh(Multinomial *m, const double *moments);

/* from beta, with these rows and penalties */
extern void ml_multinomial_quasi_begin(Multinomial *m);

extern MlLbfgsStatus ml_multinomial_quasi_take(Multinomial *m, const MlMultinomialState *s);

/* ml_multinomial_violation, of L-BFGS */
extern double ml_multinomial_quasi_violation(const Multinomial *m);

/* ---- multinomial_report.c ---- */

extern MlFitted *ml_multinomial_report(Multinomial *m);

/* these do not return */
extern void ml_multinomial_refuse_separation(const Multinomial *m, bool complete);
extern void ml_multinomial_refuse_divergence(const Multinomial *m);
extern void ml_multinomial_refuse_overflow(void);

#endif							/* ML_ALGO_MULTINOMIAL_H */
