/*
 * newton_pass.h
 *		What fits by Newton's method carry from pass to pass as doubles, where
 *		passes run in SQL: vectors, the columns kept and, only while a step is
 *		being halved, the factor of the information that the fit may end with.
 *		Scalars, which come before them, are each fit's own.
 */
#ifndef ML_ALGO_NEWTON_PASS_H
#define ML_ALGO_NEWTON_PASS_H

#include "postgres.h"

#define ML_NEWTON_VECTORS 6

typedef struct MlNewtonPass
{
	int			k;
	double	   *vector[ML_NEWTON_VECTORS];	/* k each */
	int			nkept;
	int		   *kept;			/* k */
	double	   *u;				/* nkept x nkept */
	bool		halving;
} MlNewtonPass;

extern int	ml_newton_pass_size(const MlNewtonPass *p);
extern void ml_newton_pass_save(const MlNewtonPass *p, double *pass);

/* nkept and halving are known; false: the doubles make no sense */
extern bool ml_newton_pass_load(MlNewtonPass *p, const double *pass);

/* a count among the doubles; -1: it is none */
extern int	ml_newton_pass_count(double value);

#endif							/* ML_ALGO_NEWTON_PASS_H */
