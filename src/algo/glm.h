/*
 * glm.h
 *		What the files of generalized linear models share: the fit (glm.c), its
 *		constant model (glm_null.c) and its report (glm_report.c).
 */
#ifndef ML_ALGO_GLM_H
#define ML_ALGO_GLM_H

#include "algo/standard.h"
#include "num/family.h"

typedef struct MlGlmParams
{
	int			family;			/* 0: by the task; else MlFamily + 1 */
	int			link;			/* 0: canonical; else MlFamilyLink + 1 */
	char	   *offset;
	char	   *exposure;
	bool		intercept;
	double		l2;
	int64		max_iterations;
	double		tolerance;
} MlGlmParams;

/* which pass this is */
typedef enum GlmStage
{
	GLM_START,					/* least squares at the starting means: gives beta and the columns */
	GLM_FIRST,					/* is that beta better than the constant model? */
	GLM_NULL,					/* it was not: at the constant model */
	GLM_NEWTON
} GlmStage;

typedef struct Glm
{
	const MlFit *fit;
	const MlGlmParams *params;
	MlFamily	family;
	MlFamilyLink link;
	MlStandard	standard;

	/* one block */
	double	   *z;
	double	   *eta;
	double	   *residual;
	double	   *root;

	/* k each */
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
	double		mean;			/* of the target */
	bool		has_null;
	double		null_intercept;
	double		null_deviance;

	/* rows elsewhere: what the first pass finds out besides (glm_null.c) */
	bool		elsewhere;
	double		target_sum;		/* what the log-likelihood has besides the sums of the fit */

	/* where the fit is */
	GlmStage	stage;
	int			passes;
	int			iterations;
	int			halvings;
	int			closing_passes; /* since the deviance has converged */
	double		objective;		/* at accepted: half the deviance and the penalty */
	MlFamilySums sums;			/* at accepted */
	double		turn;			/* largest change of a row's eta by the step to accepted */
	double		promise;		/* of the step from accepted */
	double		relative_change;
} Glm;

/* glm_null.c: refuses targets out of the family's range; the constant model */
extern void ml_glm_check_target(const Glm *g);
extern void ml_glm_null_model(Glm *g);

/* the same of rows elsewhere: what the survey says, and then the first pass by its rows */
typedef struct GlmTarget
{
	double		outside;		/* rows whose target is out of the family's range */
	double		least;			/* of them; 0: none */
	double		deviance;		/* of the constant model */
	double		invalid;		/* rows to which it gives no mean */
	double		term;			/* see Glm.target_sum */
} GlmTarget;

extern void ml_glm_survey(Glm *g);
extern void ml_glm_target_add(Glm *g, GlmTarget *t, int n, const double *y, const double *weight);
extern void ml_glm_target_merge(GlmTarget *t, const GlmTarget *other);
extern void ml_glm_target_end(Glm *g, const GlmTarget *t);

/* glm_pass.c */
extern int	ml_glm_pass_size(void *fit);
extern void ml_glm_pass_save(void *fit, double *pass);
extern bool ml_glm_pass_load(void *fit, int n, const double *pass);

/* glm_report.c */
extern MlFitted *ml_glm_report(Glm *g);
extern double ml_glm_saturated_poisson(double y);
extern const char *ml_glm_family_name(MlFamily family);
extern const char *ml_glm_link_name(MlFamilyLink link);

/* these do not return */
extern void ml_glm_refuse_link(const Glm *g);
extern void ml_glm_refuse_start(const Glm *g);
extern void ml_glm_refuse_flat(const Glm *g);
extern void ml_glm_refuse_divergence(const Glm *g);

#endif							/* ML_ALGO_GLM_H */
