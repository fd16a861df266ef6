/*
 * hearing.h
 *		What the SQL functions that judge have in common: from arguments to versions
 *		judged. Private to judge/.
 */
#ifndef ML_HEARING_H
#define ML_HEARING_H

#include "postgres.h"

#include "fmgr.h"
#include "judge/jury.h"
#include "registry/registry_catalog.h"

/* arguments as they stand in the SQL functions; NULL and 0: not given */
typedef struct MlCase
{
	const char *model;			/* a reference, or a name where versions are given apart */
	int			version;		/* candidate */
	int			champion;		/* of two */
	bool		compared;		/* there are two; champion 0: the active one */
	const char *validation_set;
	int			edition;
	const char *source;			/* a query instead of a set */
	const char *target;
	const char *weight;
	char	  **slices;
	int			nslices;
	char	  **metrics;
	int			nmetrics;
	bool		include_seen;
	const char *example;		/* of a call, for hints */
} MlCase;

typedef struct MlHearing
{
	MlResolved	resolved[2];
	const MlModel *version[2];
	int			nversions;
	bool		of_edition;
	MlEdition	edition;
	List	   *metrics;		/* of MlJudgeMetric * */
	MlJury	   *jury;
	MlJudged   *judged[2];
} MlHearing;

/* 42501 without the right to read the model; says by NOTICE what rows are left out. 55000 if none is left */
extern void ml_hearing_open(const MlCase *question, MlHearing *hearing);
extern void ml_hearing_close(MlHearing *hearing);

/* the metrics named, or the model's and those of its task that need no bootstrap */
extern List *ml_hearing_metrics(const char *model, MlTask task, char **name, int n);

/* evaluate.c: what mlops_evaluate does, without rows to return */
extern void ml_evaluate(const MlCase *question);

/* ---- arguments; NULL is NULL ---- */

extern int	ml_argument_int(FunctionCallInfo fcinfo, int argument);	/* 0 for NULL */
extern char **ml_argument_texts(FunctionCallInfo fcinfo, int argument, const char *name, int *n);
extern void ml_argument_require(FunctionCallInfo fcinfo, int argument, const char *name, const char *example);

#endif							/* ML_HEARING_H */
