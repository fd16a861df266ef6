/*
 * logistic.h
 *		What the two files of logistic regression share: the fit
 *		(logistic_regression.c) and its report (logistic_report.c).
 *
 * Everything here is in the units of Z: z = (x - centre) * unit.
 */
#ifndef ML_ALGO_LOGISTIC_H
#define ML_ALGO_LOGISTIC_H

#include "algo/penalty.h"

/* how several classes are fitted, or two where it is said */
typedef enum MlSolver
{
	ML_SOLVER_AUTO, ML_SOLVER_NEWTON, ML_SOLVER_LBFGS
} MlSolver;

typedef struct MlLogisticParams
{
	bool		intercept;
	MlPenaltyParams penalty;
	int64		max_iterations;
	double		tolerance;
	int			solver;			/* MlSolver */
} MlLogisticParams;

typedef struct Logistic
{
	const MlFit *fit;
	const MlLogisticParams *params;
	int			p;				/* design columns */
	int			first;			/* Z's column of design column 0: 1 with an intercept, else 0 */
	int			k;				/* columns of Z */

	/* one block */
	double	   *z;
	double	   *eta;
	double	   *residual;
	double	   *root;

	/* k each */
	double	   *centre;
	double	   *unit;
	double	   *beta;			/* where the next pass looks */
	double	   *accepted;		/* where step starts */
	double	   *step;
	double	   *penalty;
	double	   *work;

	/* the columns that stand on their own, and U'U = their information at accepted */
	int			nkept;
	int		   *kept;
	double	   *u;

	/* the constant model */
	double		weight;			/* sum of weights */
	double		share;			/* of the positive class */
	double		null_log_likelihood;

	/* where the fit is */
	int64		sample;			/* rows of a pass; 0: all */
	bool		stage_begins;	/* this is the first pass over these rows */
	bool		from_null;		/* on all rows, the constant model has been looked at */
	bool		chosen;			/* kept is final */
	bool		warm;			/* accepted holds a start to come back to */
	int			stage_passes;
	int			passes;
	int			iterations;		/* Newton steps on all rows */
	int			halvings;		/* of the step being tried */
	bool		closing;		/* the deviance has converged: one more pass */
	int			closing_passes;
	int			turning_passes;	/* of these, with rows that still moved */
	double		objective;		/* at accepted */
	double		log_likelihood;
	double		promise;		/* change of the deviance that step should bring */
	double		relative_change;
	double		previous_change;
} Logistic;

/*
 * What is left of a diagonal element of an information matrix of k columns, the
 * first of them the constant if there is one, below which a column is collinear.
 */
extern void ml_logistic_floors(int k, bool constant, const double *centre, const double *unit,
							   const double *information, double *floor);

/* several classes, and penalties that leave columns out */
extern const MlAlgorithm ml_multinomial;

/* logistic_pass.c: the fit as doubles, for passes elsewhere */
extern int	ml_logistic_pass_size(void *fit);
extern void ml_logistic_pass_save(void *fit, double *pass);
extern bool ml_logistic_pass_load(void *fit, int n, const double *pass);

extern MlFitted *ml_logistic_report(Logistic *l);
/* these do not return */
extern void ml_logistic_refuse_separation(const Logistic *l, bool complete);
extern void ml_logistic_refuse_divergence(const Logistic *l);
extern void ml_logistic_refuse_overflow(const Logistic *l);

#endif							/* ML_ALGO_LOGISTIC_H */
