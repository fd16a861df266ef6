/*
 * rule.h
 *		Rules: conditions on a row and on what was predicted for it, each with
 *		what to do where it holds.
 *
 * A condition is written in SQL, read with the server's raw parser - never
 * analysed, never executed - and compiled into a program of ours (opcode.h).
 * The program of a rule set is a value (docs/formats.md): it names columns,
 * holds its constants and its time zone, and reads no catalog, no setting and
 * no right of whoever runs it. Each operation has a value for every input:
 * where the server would raise an error (division by zero, overflow, a cast of
 * what does not fit), the value is NULL and a flag is raised. Jumps lead
 * forward only, so that every program ends.
 *
 * Values are numbers (double; NaN is NULL), booleans, text and times
 * (microseconds since 1970-01-01, as ml_value_usec has them). That a time is
 * in UTC or local is known to the compiler alone.
 */
#ifndef ML_RULE_H
#define ML_RULE_H

#include "postgres.h"

#include "frame/value.h"
#include "model/model.h"
#include "rule/check.h"
#include "utils/jsonb.h"

#define ML_MAX_RULES		64	/* of a set: a bit each */

/* which rules fired on a row, bit i is rule i in order; for who logs it */
typedef struct MlFired
{
	uint64		rules;
	uint64		errors;			/* rules in whose condition something had no value: see above */
} MlFired;

typedef enum MlRuleType
{
	ML_RULE_UNKNOWN,			/* a literal that has not met another type; never in a program */
	ML_RULE_NUMBER, ML_RULE_BOOL, ML_RULE_TEXT, ML_RULE_TIMESTAMP, ML_RULE_TIMESTAMPTZ
} MlRuleType;

#define ML_LAST_RULE_TYPE	ML_RULE_TIMESTAMPTZ

typedef struct MlRuleValue
{
	union
	{
		double		number;
		bool		boolean;
		int64		usec;
		const char *bytes;
	};
	int32		length;			/* of bytes */
	bool		isnull;
} MlRuleValue;

typedef struct MlRuleColumn
{
	char	   *name;
	MlRuleType	type;
	bool		declared;		/* by the rule set; else a version's feature */
} MlRuleColumn;

typedef enum MlRuleAction
{
	ML_RULE_SET,				/* the prediction becomes low */
	ML_RULE_CLIP,				/* ... at least low, at most high */
	ML_RULE_LABEL,				/* the label becomes another */
	ML_RULE_SUPPRESS,			/* nothing is predicted */
	ML_RULE_USE					/* another version predicts */
} MlRuleAction;

#define ML_LAST_RULE_ACTION ML_RULE_USE
#define ML_RULE_FALLBACK	0	/* in place of a version */

/* an instruction in memory */
typedef struct MlRuleStep
{
	uint8		code;			/* MlRuleCode */
	uint8		a;
	uint16		b;
	int32		target;			/* where a jump leads */
	union
	{
		double		number;
		int64		usec;
		const struct MlRuleText *text;
		const double *numbers;
	};
} MlRuleStep;

typedef struct MlRuleText
{
	char	   *bytes;
	int32		length;
} MlRuleText;

typedef struct MlRule
{
	char	   *name;
	MlRuleAction action;
	double		low;
	double		high;
	MlRuleText	label;
	int			version;		/* USE: ML_RULE_FALLBACK, or a number */
	bool		stop;			/* no later rule is looked at where it fires */
	char		type;			/* of what the condition leaves: 'b', but for a lone expression */
	int			nsteps;
	MlRuleStep *step;
} MlRule;

/* Immutable. What a rule set became, in memory */
typedef struct MlRuleProgram
{
	MlTask		task;			/* of the model */
	char	   *time_zone;		/* of date parts and of timestamps with time zone */
	struct pg_tz *zone;
	int			ncolumns;
	MlRuleColumn *column;
	int			nnumbers;
	double	   *number;
	int			ntexts;
	MlRuleText *text;
	int			ntimes;
	int64	   *time;
	int			nrules;			/* 0: only where there are checks */
	MlRule	   *rule;
	int			nchecks;
	MlCheck    *check;
	bool		reads_prediction;
	bool		reads_label;
	bool		reads_key;
} MlRuleProgram;

/* ---- from text to a program ---- */

/* names that a condition may use: columns, before those that it is found to use */
typedef struct MlRuleNames
{
	MlTask		task;
	const char *time_zone;
	int			ncolumns;
	MlRuleColumn *column;		/* all that there are */
	const char **refused;		/* of each: why it cannot be used; NULL: it can */
} MlRuleNames;

/*
 * read_rules.c: the program of a rule set for a model, and its bytes. rules: a list of rules, or an object
 * {"rules": list, "columns": {name: type}, "time_zone": name}; checks: a list, or NULL for none.
 * Errors have the position in the condition: 42601 syntax, 0A000 what is not admitted, 42703,
 * 42883, 42804...; 22023 for what is no rule.
 */
extern MlRuleProgram *ml_rules_read(Jsonb *rules, Jsonb *checks, const MlModel *model, bytea **bytes);

/* features.c: the columns that a model reads, in the current context; the model must outlive them */
extern void ml_rule_features(const MlModel *model, MlRuleNames *names);

/* 22023, 42703, 42804 unless the rules can serve with a version of the model; number: of the rule set */
extern void ml_rule_check_model(const MlRuleProgram *program, int number, const MlModel *model, const char *name, int version);

/* a program of one expression of any type, the condition of its only rule */
extern MlRuleProgram *ml_rule_expression(const char *text, Jsonb *columns, MlRuleType *type);

/* the type of that name in "columns"; UNKNOWN if there is none */
extern MlRuleType ml_rule_type_find(const char *name);
extern const char *ml_rule_type_name(MlRuleType type);

/*
 * The versions that must be there to serve with the rules, each once, the
 * fallback of hard checks among them; version: room for ML_MAX_RULES + 1.
 */
extern int	ml_rule_uses(const MlRuleProgram *program, int *version);

/* 42703 unless a row that suits the rules and the version suits one that rules use, too */
extern void ml_rule_check_used(const MlRuleProgram *program, int number, const MlModel *model, const MlModel *used,
							   const char *name, int version);

/* ---- bytes ---- */

extern bytea *ml_rules_write(const MlRuleProgram *program);

/* ML004 unless the bytes are a program; trusts nothing; in the current context */
extern MlRuleProgram *ml_rules_load(const char *bytes, Size length);

/* ---- running ---- */

/* a column of an input row that fills a column of the program */
typedef struct MlRuleBound
{
	int			position;
	MlValueType type;
} MlRuleBound;

/* the first test of a condition, where it is of a column that is plain or of the prediction: most rows fail it */
typedef struct MlRuleFirst
{
	int			position;		/* of the column; or one of these */
#define ML_FIRST_NONE		(-1)
#define ML_FIRST_PREDICTION	(-2)
	int			outcomes;		/* that pass */
	double		number;
	int			nnumbers;		/* IN: of these, instead */
	const double *numbers;
} MlRuleFirst;

/* what a condition sees */
typedef struct MlRuleView
{
	const MlRuleProgram *program;
	const NullableDatum *column;	/* an input of columns, and how it is bound; else value */
	MlRuleBound *bound;
	int		   *plain;			/* position of each that is plain; -1: it is not */
	MlRuleFirst *first;			/* of each rule */
	MlRuleValue *value;			/* of each column of the program; of texts of columns, those that were read */
	uint64	   *taken;			/* the row in which a text was read into value */
	uint64		row;			/* counts them */
	Size		made;			/* bytes of text that this row has made */
	MlRuleValue prediction;
	MlRuleValue label;
	MlRuleValue key;
	int64		now;
	bool		error;			/* raised where something has no value */
	uint64		errors;			/* rules in whose condition that happened */
} MlRuleView;

/* fills in view->first, once plain is known */
extern void ml_rule_find_first(MlRuleView *view);

/*
 * The first rule from that one on whose condition holds (and is not NULL); the
 * number of rules if there is none. Text goes to the current context, errors are
 * added to view->errors.
 */
extern int	ml_rule_next(MlRuleView *view, int rule);

/* what a program of ml_rule_expression gives */
extern void ml_rule_evaluate(MlRuleView *view, const MlRule *rule, MlRuleValue *result);

/* a value of an input column, as the column of a program has it */
extern void ml_rule_take(MlRuleType type, MlValueType *input, Datum datum, MlRuleValue *value);

/* the same of JSON; false: it is of another sort */
extern bool ml_rule_take_json(const MlRuleProgram *program, int column, const JsonbValue *json, MlRuleValue *value);

/* as text, in the current context; NULL for NULL */
extern char *ml_rule_show(const MlRuleProgram *program, MlRuleType type, const MlRuleValue *value);

/* a time since 1970, local in a zone, as one in UTC, and back; infinity stays */
extern int64 ml_rule_to_utc(int64 usec, struct pg_tz *zone);
extern int64 ml_rule_to_local(int64 usec, struct pg_tz *zone);

#endif							/* ML_RULE_H */
