/*
 * search_row.h
 *		The rows of searches and their candidates in the table of runs.
 */
#ifndef ML_SEARCH_ROW_H
#define ML_SEARCH_ROW_H

#include "postgres.h"

#include "utils/jsonb.h"
#include "utils/uuid.h"

#define ML_SEARCHED_RUNGS 8

typedef enum MlSearchedStatus
{
	ML_SEARCHED_RUNNING, ML_SEARCHED_DROPPED, ML_SEARCHED_FAILED, ML_SEARCHED_FINISHED
} MlSearchedStatus;

/* a candidate of a search that goes on */
typedef struct MlSearchedRow
{
	pg_uuid_t	run;
	int			number;
	MlSearchedStatus status;
	int			nrungs;
	double		value[ML_SEARCHED_RUNGS];
} MlSearchedRow;

extern void ml_registry_start_search(pg_uuid_t *id, const char *model, Jsonb *spec);

/* makes it run again, and returns the spec it was started with: 42704 */
extern Jsonb *ml_registry_resume_search(const pg_uuid_t *id, const char *model);

extern void ml_registry_start_candidate(pg_uuid_t *id, const pg_uuid_t *search, const char *model,
										int number, const char *algorithm, Jsonb *spec);

/* value[nrungs - 1] on a sample of rows is the latest */
extern void ml_registry_report_candidate(const pg_uuid_t *id, int64 rows, const char *metric,
										 const double *value, int nrungs);
extern void ml_registry_end_candidate(const pg_uuid_t *id, MlSearchedStatus status, const char *message);

/* those of a search, by number */
extern MlSearchedRow *ml_registry_candidates(const pg_uuid_t *search, int *n);

#endif							/* ML_SEARCH_ROW_H */
