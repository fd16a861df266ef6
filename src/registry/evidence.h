/*
 * evidence.h
 *		What is on record about how good versions are: which rows they were trained
 *		on, and what they were measured at.
 */
#ifndef ML_EVIDENCE_H
#define ML_EVIDENCE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* ---- rows that a version was trained on ---- */

/*
 * A part of the sorted keys of the rows: their upper bits, each less the one
 * before it, seven bits a byte, the lowest first, with the top bit set in all
 * bytes of a number but the last. A part begins anew with the whole of its first key.
 */
typedef enum MlTrainingKind
{
	ML_TRAINING_ROW,			/* features and target */
	ML_TRAINING_KEY				/* ml_hash_key of the key, where the training was told which column that is */
} MlTrainingKind;

typedef struct MlTrainingRows
{
	int			bits;			/* of a key that are kept */
	const char *data;
	Size		length;
} MlTrainingRows;

extern void ml_registry_insert_training_rows(const char *model, int version, MlTrainingKind kind, int part,
											 const MlTrainingRows *rows);

/* calls each for every part, in order; the number of parts: 0 if none were kept. No privilege check */
extern int	ml_registry_training_rows(const char *model, int version, MlTrainingKind kind,
									  void (*each) (void *arg, const MlTrainingRows *rows), void *arg);

/* the column that rows of the training are known by besides, in the current context; NULL: none is kept */
extern char *ml_registry_training_key(const char *model, int version);

/* ---- what else judging asks of a version ---- */

/* the mean of the training labels; NaN if it is not known */
extern double ml_registry_mean_label(const char *model, int version);

/* ---- evaluations ---- */

typedef struct MlEvidence
{
	const char *model;
	int			version;
	const char *validation_set;
	int			edition;
	const char *slice;
	const char *metric;
	double		value;			/* these may be NaN */
	double		low;
	double		high;
	double		baseline;
	double		threshold;
	int64		n;
	int64		seen;			/* -1: not known */
} MlEvidence;

/* takes the place of what is there of the same version, edition, slice and metric. Checks no privilege */
extern void ml_registry_put_evidence(const MlEvidence *evidence, int n);

/* what was found by another primary metric of the model is stale */
extern void ml_registry_age_evidence(const char *model);

/*
 * What evaluations are due of: references of the versions in use ("churn/3": active, canary,
 * under an alias) and names of the validation sets that have an edition; lists of char *, in the
 * current context.
 */
extern void ml_registry_evaluated(const char *model, List **versions, List **sets);

/* called after the primary metric of a model was changed; set by whoever judges */
extern void (*ml_registry_metric_changed) (const char *model);

/* what is to be done when the setting slo of a model changes, NULL: it is taken back; set likewise */
extern void (*ml_registry_slo_changed) (const char *model, const char *slo);

#endif							/* ML_EVIDENCE_H */
