/*
 * score.h
 *		From a call of mlops_predict to a number: the call site, the scorer, and
 *		the ways in which an input row arrives.
 *
 * Every call site (one FmgrInfo) has an MlCallSite in fn_extra. It holds one
 * MlScorer for each model reference that it has met lately: the model that the
 * reference stands for in the running statement, and what was worked out once
 * about the input's columns. Per row nothing is looked up and nothing is
 * allocated but what a value itself needs (arrays, detoasted text), which goes
 * to the caller's per-row context.
 *
 * Memory: everything of a scorer, the pin on its model included, belongs to
 * scorer->cxt and goes when the reference comes to stand for other bytes, so
 * that a long-lived call site (a PL/pgSQL loop) stays flat across promotions.
 */
#ifndef ML_SCORE_H
#define ML_SCORE_H

#include "postgres.h"

#include "fmgr.h"
#include "frame/isotime.h"
#include "lib/stringinfo.h"
#include "model/model.h"
#include "portability/instr_time.h"
#include "registry/registry.h"
#include "rule/rule.h"
#include "utils/array.h"
#include "utils/jsonb.h"

/* what a call gives back */
typedef enum MlResult
{
	ML_RESULT_VALUE,			/* regression value or P(positive class) */
	ML_RESULT_LABEL,			/* class at the threshold */
	ML_RESULT_PROBA,			/* probability of every class */
	ML_RESULT_TRANSFORM,		/* place in the space that the model made */
	ML_RESULT_ANY,				/* value and label, where the task has them */
	ML_RESULT_ROW				/* none: the row as it is encoded */
} MlResult;

typedef enum MlInput
{
	ML_INPUT_RECORD, ML_INPUT_JSON, ML_INPUT_JSONB, ML_INPUT_TEXT, ML_INPUT_ARRAY
} MlInput;

/* the columns of an input row; a NULL name is a dropped column */
typedef struct MlShape
{
	int			ncolumns;
	const char **name;
	Oid		   *type;
	int32	   *typmod;
} MlShape;

/* a feature, and the column of the input that fills it */
typedef struct MlBoundColumn
{
	const MlFeature *feature;
	int			position;
	MlValueType type;
} MlBoundColumn;

/* the same for a column of float8, by far the most frequent: nothing to convert */
typedef struct MlBoundFloat
{
	int			position;
	int			number;			/* index into the encoded row's doubles */
} MlBoundFloat;

/* what is logged of the calls of a model; settled with the resolution */
typedef struct MlLogging
{
	bool		on;
	bool		without_key;	/* calls without a key too */
	bool		input;			/* the row as well */
	uint64		limit;			/* hashes of keys up to here */
} MlLogging;

typedef struct MlScorer MlScorer;

/* the rules of the bundle that a scorer scores with */
typedef struct MlScorerRules
{
	MemoryContext cxt;			/* child of the scorer's: all of this */
	uint8		sha256[ML_SHA256_LENGTH];
	MlRuleProgram *program;
	MlRuleView	view;			/* bound is in bind_cxt */
	MlRuleValue *value;			/* of each column, for input that is not columns */
	int		   *number;			/* of each column: its place in the numbers of an encoded row, or -1 */
	MlScorer  **used;			/* of each rule: the version that it uses; NULL: not met yet, or there is none */
	MlCheckPlan *checks;		/* NULL: there are none */
	MlScorer   *fallback;		/* where hard checks turn to; NULL: likewise */
	bool		no_fallback;	/* found in this statement */
	bool		carried;		/* used versions came with a bundle: there are no others */
	Oid			key_type;		/* of the call's key; InvalidOid: not known yet */
	MlFired		fired;			/* on the latest row */
} MlScorerRules;

typedef struct MlScorerShadows MlScorerShadows;	/* private to shadow.c */

/* the canary that runs beside what a scorer stands for */
typedef struct MlScorerCanary
{
	MemoryContext cxt;			/* child of the scorer's: all of this */
	double		share;
	uint64		seed;			/* of the positions of rows */
	MlScorer   *side;			/* its own bundle; without a model where loading it failed */
} MlScorerCanary;

/* a model reference at a call site */
struct MlScorer
{
	char	   *text;			/* the reference as written; NULL: the place is free */
	int			text_length;
	MlReference reference;
	bool		current;		/* resolved under the statement that the site knows */
	MlResolved	resolved;
	MlLogging	logging;
	const MlModel *model;		/* NULL: not loaded; pinned by cxt */
	MemoryContext cxt;
	MlRow		row;
	double	   *work;			/* of model->work_size doubles: the outputs first */
	const uint64 *typed;		/* of each feature: checks that a value of another type fails; NULL: it is an error */
	uint64		mistyped;		/* those that failed on the latest row */
	int		   *name_length;	/* of each feature's name */

	/* the binding to an input of columns, made at the first row that is not NULL */
	MemoryContext bind_cxt;
	bool		is_bound;
	int			nfloats;		/* features that are plain float8 */
	MlBoundFloat *floats;
	int			nothers;		/* all other features */
	MlBoundColumn *others;
	bool		has_cast;		/* one of them calls a cast function */
	bool		direct;			/* floats are all there is to the row, in order */
	int			direct_first;	/* the column of number 0 */
	int		   *direct_position;	/* of each number; NULL: from direct_first on */

	/* composite input: the row type that is bound */
	uint64		row_type;		/* as assign_record_type_identifier() has it */
	TupleDesc	desc;
	Datum	   *value;
	bool	   *isnull;
	NullableDatum *column;

	MlScorerRules *rules;		/* and checks; NULL: none */
	MlScorerShadows *shadows;	/* of the bundle; NULL: none, or none were asked yet */
	bool		is_shadow;		/* takes no column that needs a function of a user's */
	MlScorerCanary *canary;		/* NULL: none */
	struct MlCounts *counts;	/* what its calls are counted in; NULL: they are not */
	uint64		counts_generation;
	bool		counts_columns;		/* they can be counted without being encoded */
	bool		plain;			/* nothing is asked but outputs: neither rules nor a canary nor a log nor counts */
};

/* how a row came, so that another version can score it too */
typedef struct MlScoreInput
{
	FunctionCallInfo fcinfo;	/* NULL: record */
	MlInput		input;
	int			first_column;	/* columns are arguments from here on; 0: argument 1 is the input */
	int			key_argument;	/* 0: there is no key */
	Datum		record;
	const char *key;			/* of a record; NULL: none */
	int			nkey;
} MlScoreInput;

/* what became of a row's outputs under the rules */
typedef struct MlDecided
{
	const MlScorer *scorer;		/* whose outputs they are: a rule may use another version */
	const double *output;		/* NULL: nothing is predicted */
	const char *label;			/* that a rule gave; NULL: the outputs' */
	int			label_length;
	double		own;			/* output of a rule that changed it */
} MlDecided;

#define ML_SCORERS_PER_SITE 8

/*
 * What a resolution depends on. The snapshot is told by its contents: its
 * address is soon another snapshot's. A subtransaction that rolls back takes
 * its promotions along without a trace in the snapshot, hence subxact.
 */
typedef struct MlStatement
{
	LocalTransactionId lxid;	/* invalid: knows no statement */
	SubTransactionId subxact;
	Oid			user;
	TransactionId xmin;
	TransactionId xmax;
	CommandId	curcid;
	bool		suboverflowed;
	bool		recovery;
	uint32		nxip;
	uint32		nsubxip;
	TransactionId *running;		/* nxip, then nsubxip */
	uint32		capacity;		/* of running */
} MlStatement;

typedef struct MlCall MlCall;

typedef struct MlCallSite
{
	MemoryContext cxt;			/* "mlops predict", child of fn_mcxt unless kept.c has it */
	MlResult	result;
	bool		constant;		/* the reference is a constant of the query */
	MlStatement statement;
	MlScorer   *last;			/* used by the latest row */
	int			victim;			/* next place to give up when all are taken */
	MlCall	   *call;			/* which call this is; NULL: not to be kept */
	MemoryContextCallback release;
	MlScorer	scorer[ML_SCORERS_PER_SITE];
} MlCallSite;

/* a row that went through a bundle */
typedef struct MlAnswer
{
	MlScorer   *asked;			/* of the reference that was called */
	MlScorer   *scorer;			/* that answered */
	const MlScoreInput *input;
	bool		is_taken;		/* the scorer has encoded the row already */
	bool		is_row;			/* false: the row is NULL, or all of it is */
	const double *output;		/* of the scorer's model; NULL: none */
	const NullableDatum *columns;	/* that were read directly, from that of number 0 on; NULL: the scorer's row is encoded */
	bool		checked;		/* there are checks of rows */
	uint64		failed;			/* bit i: check i of the rule set failed */
	bool		barred;			/* one of them was hard */
	bool		ruled;			/* rules were asked */
	MlDecided	decided;		/* what is to be given back */
	instr_time	start;			/* where the call is logged */
} MlAnswer;

/*
 * Who watches calls: the log and the serving statistics, in a server that has
 * them. None may change what the call returns.
 */
typedef struct MlScoreWatch
{
	/* settles what is logged and counted of a scorer, whose rules are known */
	void		(*resolve) (MlScorer *scorer, MlResult result);
	void		(*record) (const MlAnswer *answer);

	/* where scorer->counts; the other where counts_columns, of a row that is nothing but columns and one output */
	void		(*count) (const MlAnswer *answer);
	void		(*count_columns) (MlScorer *scorer, const NullableDatum *column, double prediction);
} MlScoreWatch;

extern const MlScoreWatch *ml_score_watch;	/* NULL: nobody */

/* which rules fired on the latest row that was not NULL; for who logs it */
static inline MlFired
ml_score_fired(const MlScorer *scorer)
{
	MlFired		none = {0};

	return scorer->rules != NULL ? scorer->rules->fired : none;
}

/* nothing but the outputs decides yet */
static inline void
ml_score_undecided(const MlScorer *scorer, const double *output, MlDecided *decided)
{
	decided->scorer = scorer;
	decided->output = output;
	decided->label = NULL;
}

/* predict.c */
extern text *ml_score_reference(FunctionCallInfo fcinfo);
extern bool ml_score_input(FunctionCallInfo fcinfo, MlScorer *scorer, MlInput input);
extern Datum ml_score_result(FunctionCallInfo fcinfo, const MlScorer *scorer,
							 const double *output, MlResult result);
extern Datum ml_score_label(const MlScorer *scorer, const double *output);
extern Datum ml_score_proba(const MlScorer *scorer, const double *output);

/* site.c */
extern MlScorer *ml_score_resolve(FunctionCallInfo fcinfo, MlResult result, text *reference);
extern void ml_score_unbind(MlScorer *scorer);
extern void ml_score_unload(MlScorer *scorer);
extern void ml_score_prepare(MlScorer *scorer, const MlModel *model, MlResult result);

extern void ml_score_refresh(MlScorer *scorer, MemoryContext parent, MlResult result);

/* answer.c: the whole way of a row through a bundle; what answer points to is good until the next row */
extern bool ml_score_take(MlScorer *scorer, const MlScoreInput *input);

/* the outputs of the answer's scorer, of which scorer, input and is_taken are set; NULL: there are none */
extern const double *ml_score_outputs(MlAnswer *answer);

extern void ml_score_answer(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlAnswer *answer);

/*
 * What the log knows of outputs: the value, of two classes the probability of the positive
 * one, of several that of the label; and the class or the cluster, or NULL. number: a buffer for it.
 * NaN: nothing is predicted, as where output is NULL.
 */
#define ML_CLUSTER_LENGTH	12
extern double ml_score_number(const MlScorer *scorer, const double *output, char *number, const char **label);

/* the same by the scorer itself, whatever side the row is on */
extern void ml_score_answer_as(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlAnswer *answer);

/* canary.c: that of the resolved bundle, as it is for this statement */
extern void ml_score_take_canary(MlScorer *scorer, MlResult result);
extern void ml_score_drop_canary(MlScorer *scorer);

/* an empty canary of a scorer, to be filled */
extern MlScorer *ml_score_make_canary(MlScorer *scorer);

/* the scorer that answers for a row; is_taken, is_row: as in MlAnswer, of that scorer */
extern MlScorer *ml_score_side(MlScorer *scorer, const MlScoreInput *input, bool *is_taken, bool *is_row);

/* checked.c */
extern void ml_score_check(MlAnswer *answer, MlResult result);
extern void ml_score_barred(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlDecided *decided);
extern void ml_score_tolerate(MlScorer *used, const MlRuleProgram *program);
extern bool ml_score_spares(MlScorer *scorer, const MlFeature *feature);

/* ruled.c: rules go on from what is decided */
extern void ml_score_decide(MlScorer *scorer, const MlScoreInput *input, MlResult result, MlDecided *decided);
extern MlScorer *ml_score_used(MlScorer *scorer, int version, MlScorer **place, MlResult result);
extern Datum ml_score_decided(FunctionCallInfo fcinfo, const MlDecided *decided, MlResult result);

/* rule_input.c: the rules of the resolved bundle, as they are for this statement */
extern void ml_score_take_rules(MlScorer *scorer);
extern void ml_score_set_rules(MlScorer *scorer, MlRuleProgram *program, const uint8 *sha256, MemoryContext cxt);
extern void ml_score_drop_rules(MlScorer *scorer);
extern void ml_score_bind_rules(MlScorer *scorer, const MlShape *shape);
extern void ml_score_rules_document(MlScorer *scorer, const JsonbContainer *object);
extern void ml_score_rules_flat(MlScorer *scorer, const double *value);

/*
 * shadow.c: what the shadows of the bundle make of a row that was answered, and that hash says is in their
 * samples; packed (shadow.h), good until the next row. start: now. NULL: none was asked. Raises nothing but what
 * ends the statement anyway.
 */
extern StringInfo ml_score_shadows(const MlAnswer *answer, uint64 hash, instr_time start);
extern void ml_score_age_shadows(MlScorer *scorer);

/* a shadow that is asked in the open, whatever its calls have taken */
typedef struct MlShadowShown
{
	const char *name;
	const MlScorer *scorer;		/* NULL: it could not be loaded */
	int			version;
	const double *output;		/* NULL: nothing is predicted, or it could not be asked; good until it is asked again */
} MlShadowShown;

/* the shadow of that number, from 0 on, by name; false: there are no more */
extern bool ml_score_show_shadow(MlScorer *scorer, int n, const MlScoreInput *input, MlShadowShown *shown);

/* kept.c */
extern MlCallSite *ml_site_take(FmgrInfo *flinfo, MlResult result);
extern void ml_site_keep(MlCallSite *site, FmgrInfo *flinfo);

/* bind.c */
extern void ml_score_bind(MlScorer *scorer, const MlShape *shape);
extern void ml_score_encode(MlScorer *scorer, const NullableDatum *column);

/* record.c: false if the row is NULL or all of its columns are */
extern bool ml_score_columns(MlScorer *scorer, FunctionCallInfo fcinfo, int first);
extern bool ml_score_record(MlScorer *scorer, Datum record);

/* document.c, text.c: likewise */
extern bool ml_score_jsonb(MlScorer *scorer, Jsonb *document);
extern bool ml_score_json(MlScorer *scorer, text *document);
extern bool ml_score_text(MlScorer *scorer, text *input);
extern bool ml_score_array(MlScorer *scorer, ArrayType *array);
extern void ml_score_flat(MlScorer *scorer, const double *value);
extern void ml_score_flat_check(const MlScorer *scorer, int nvalues);

/* refuse.c */
extern void ml_score_refuse_missing(const MlScorer *scorer, const bool *missing,
									int ninputs, const char *const *input, bool record);
extern void ml_score_refuse_type(const MlScorer *scorer, const MlFeature *feature,
								 const char *found);
extern const char *ml_score_kind_name(MlKind kind);

#endif							/* ML_SCORE_H */
