/*
 * gate.h
 *		Gates: what a version must show to be promoted. Private to deploy/.
 *
 * A gate bounds a metric on a validation set, by itself or against the active
 * version on the same rows, or is a query of its author's. Where the evidence
 * is not enough to say, or cannot be had, a gate is not passed.
 */
#ifndef ML_GATE_H
#define ML_GATE_H

#include "postgres.h"

#include "judge/judge.h"
#include "nodes/pg_list.h"
#include "registry/gate_row.h"
#include "utils/jsonb.h"

#define ML_GATE_EVERY_SLICE "*"

typedef enum MlRuling
{
	ML_RULING_PASS,
	ML_RULING_FAIL,
	ML_RULING_CANNOT_TELL,		/* not passed, either */
	ML_RULING_SKIPPED			/* nothing to compare with, or a slice too small to be judged */
} MlRuling;

/* what a gate says, of one slice */
typedef struct MlVerdict
{
	const MlGate *gate;
	MlRuling	ruling;
	const char *validation_set; /* NULL: a query, or the set could not be read */
	int			edition;
	const char *slice;			/* NULL: all rows */
	MlEstimate	estimate;		/* NaN where there is none */
	MlDifference difference;	/* likewise */
	const char *explanation;
} MlVerdict;

/* who is judged, and against whom */
typedef struct MlGateHearing
{
	const char *model;
	int			version;
	double		threshold;		/* NaN: none */
	int			rules;			/* that it is to serve with; 0: none */
	int			champion;		/* 0: nothing is active */
	double		champion_threshold;
	List	   *gates;			/* of MlGate */
	List	   *verdicts;		/* of MlVerdict, in the order of the gates */
} MlGateHearing;

/* fills in the verdicts; raises nothing that a gate could be about. Outside of a scope */
extern void ml_gates_hear(MlGateHearing *hearing);

/* does it keep the version from being promoted? */
extern bool ml_verdict_blocks(const MlVerdict *verdict);

/* ---- gate_measure.c: what is no metric of predictions ---- */

/* scoring_p99, missing_share, unseen_share: of the rows and the version, not of predictions and labels */
extern bool ml_gate_is_measure(const char *name);

/* feature: the one that it is of, or NULL */
extern double ml_gate_measure(const char *name, const MlJury *jury, const MlModel *model, int slice,
							  const char **feature);

/* ---- gate_rules.c ---- */

#define ML_GATE_RULES_FIRED "rules_fired_share"

/* share of an edition's rows, by weight, on which a rule of the bundle-to-be fires; 0 without rules */
extern double ml_gate_rules_fired(const MlGateHearing *hearing, const MlEdition *edition, const MlModel *model);

/* ---- gate_query.c ---- */

extern void ml_gate_query(const MlGate *gate, const MlGateHearing *hearing, MlVerdict *verdict);

/* 42601 and the like unless it is one query that answers (boolean, text); under the current user's settings */
extern void ml_gate_check_query(const char *query);

/* ---- gate_set.c ---- */

/* 42704 with the gates that there are */
extern void ml_gate_error_unknown(const char *model, const char *name);

/* ---- gate_report.c ---- */

extern const char *ml_ruling_name(MlRuling ruling);

/* for the history; approvers: a list of char *, roles that have approved */
extern Jsonb *ml_gates_evidence(const MlGateHearing *hearing, const List *approvers);

/* gates that no verdict of theirs keeps from being passed */
extern int	ml_gates_passed(const MlGateHearing *hearing);

/* ML001 if a verdict blocks; a WARNING for those that would only warn */
extern void ml_gates_decide(const MlGateHearing *hearing);

#endif							/* ML_GATE_H */
