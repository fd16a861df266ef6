/*
 * check.h
 *		Checks: what a row must be like for a version to be asked, and what the
 *		version must answer.
 *
 * Checks are part of a rule set and of its program, and come before its rules.
 * They name features, and are looked up in the recipe of whichever version they
 * serve with; what they look at is the encoded row, in which everything that
 * can be wrong shows: NaN is a missing number, a category has a code for what
 * it has never seen and one for NULL. So they are the same for every input.
 *
 * A row passes in one look without branches over the numbers and codes that
 * are checked; which checks failed is found out for rows that do not.
 */
#ifndef ML_CHECK_H
#define ML_CHECK_H

#include "postgres.h"

#include "model/model.h"
#include "utils/jsonb.h"

#define ML_MAX_CHECKS	64		/* of a rule set: a bit each */

struct MlRuleProgram;
struct MlCursor;
struct MlWriter;

/* numbers are stored: new ones come last */
typedef enum MlCheckKind
{
	ML_CHECK_MISSING,			/* a column is NULL, or a number of it */
	ML_CHECK_RANGE,				/* a number is outside its bounds; a missing one is not */
	ML_CHECK_UNSEEN,			/* a category has no level: unseen, or rare in training and pooled */
	ML_CHECK_TYPE,				/* a value of JSON is not of the column's type */
	ML_CHECK_FINITE,			/* the version has no finite answer */
	ML_CHECK_MISSING_SHARE,		/* of rows over a period, not of one: a bound for who watches */
	ML_CHECK_UNSEEN_SHARE
} MlCheckKind;

#define ML_LAST_CHECK_KIND ML_CHECK_UNSEEN_SHARE

typedef enum MlSeverity
{
	ML_SEVERITY_HARD,			/* the fallback answers, or nobody */
	ML_SEVERITY_SOFT,			/* counted and logged */
	ML_SEVERITY_DRIFT			/* nothing is done with a row */
} MlSeverity;

#define ML_LAST_SEVERITY ML_SEVERITY_DRIFT

typedef struct MlCheckColumn
{
	char	   *name;
	double		low;			/* RANGE: -infinity for none */
	double		high;			/* RANGE, shares */
} MlCheckColumn;

typedef struct MlCheck
{
	char	   *name;
	MlCheckKind kind;
	MlSeverity	severity;
	int			ncolumns;		/* 0: all that the kind fits (FINITE: it is of none) */
	MlCheckColumn *column;
} MlCheck;

static inline bool
ml_check_is_share(MlCheckKind kind)
{
	return kind == ML_CHECK_MISSING_SHARE || kind == ML_CHECK_UNSEEN_SHARE;
}

extern const char *ml_check_kind_name(MlCheckKind kind);
extern const char *ml_severity_name(MlSeverity severity);

/* ---- from JSON to checks, and to bytes ---- */

/*
 * read_checks.c: a list of checks as users write them. 22023 for what is no
 * check, 42703 and 42804 for columns that the model does not have or that do not
 * suit. The result goes into the program, which knows what its rules declare.
 */
extern void ml_checks_read(Jsonb *checks, const MlModel *model, struct MlRuleProgram *program);

/* 42703, 42804 unless the version has the columns, of kinds that suit; number: of the rule set */
extern void ml_checks_require(const struct MlRuleProgram *program, int number, const MlModel *model, const char *name,
							  int version);

/* check_format.c: ML004 unless the bytes are checks */
extern void ml_checks_write(struct MlWriter *w, const struct MlRuleProgram *program);
extern void ml_checks_load(struct MlCursor *c, struct MlRuleProgram *program);

/* ---- running ---- */

/* codes of a category that fail; -1: that one does not */
typedef struct MlCheckCode
{
	int			category;
	int32		unseen;
	int32		missing;
} MlCheckCode;

/* a column of a check, in a recipe */
typedef struct MlCheckTerm
{
	uint64		check;			/* its bit */
	const MlFeature *feature;
	MlCheckKind kind;
	int			first_number;	/* numbers that are looked at */
	int			nnumbers;
	int			category;		/* -1: none is */
	int32		code;			/* that fails */
	double		low;
	double		high;
} MlCheckTerm;

/* Immutable. The checks of a program in terms of a recipe; bits are those of checks in order */
typedef struct MlCheckPlan
{
	/* the first look: whatever fails shows here */
	int			nbounds;		/* numbers that have bounds; the arrays have room for an even number */
	int		   *bounded;
	double	   *low;
	double	   *high;
	int			npresent;		/* numbers that must not be missing */
	int		   *present;
	int			ncodes;
	MlCheckCode *code;

	/* then: which checks failed */
	int			nterms;
	MlCheckTerm *term;
	uint64		hard;
	uint64		finite;			/* checks of outputs */
	uint64	   *typed;			/* of each feature: the checks of its type; NULL: there are none */
} MlCheckPlan;

/* check_plan.c: in the current context; columns that the model does not have are left out */
extern MlCheckPlan *ml_checks_plan(const struct MlRuleProgram *program, const MlModel *model);

/* the checks of type that cover a column by that name */
extern uint64 ml_checks_of_type(const struct MlRuleProgram *program, const char *column);

/* check_run.c: which checks of a row failed, types and outputs apart */
extern uint64 ml_checks_row(const MlCheckPlan *plan, const MlRow *row);

/* the columns at fault in a check of several, as a list, in the current context; NULL: none is told apart */
extern char *ml_checks_culprits(const MlCheckPlan *plan, uint64 check, const MlRow *row);

/* may one of them fail on columns that hold the numbers of a row, none missing? position: NULL for the columns in order */
extern bool ml_checks_suspect(const MlCheckPlan *plan, const NullableDatum *column, const int *position);

/* which checks of outputs fail; output: NULL for none */
extern uint64 ml_checks_output(const MlCheckPlan *plan, const double *output, int noutputs);

#endif							/* ML_CHECK_H */
