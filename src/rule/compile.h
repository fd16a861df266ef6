/*
 * compile.h
 *		From a condition in SQL to steps: what the files of the compiler share.
 *		Private to rule/.
 *
 *		condition -> raw parse tree (parse.c) -> typed expression (expression.c,
 *		call.c, cast_expression.c) -> steps (emit.c)
 */
#ifndef ML_COMPILE_H
#define ML_COMPILE_H

#include "postgres.h"

#include "compat.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "rule/opcode.h"
#include "rule/rule.h"

#define ML_RULE_MAX_CONDITION	8192	/* bytes */
#define ML_RULE_MAX_DEPTH		200

/* a program that is being made */
typedef struct MlRuleMaker
{
	const MlRuleNames *names;
	struct pg_tz *zone;
	MlRuleProgram *program;
	int		   *column_of;		/* of each name, its column in the program; -1 */
	int			number_size;	/* allocated */
	int			text_size;
	int			time_size;

	/* the rule that is being made */
	MlRule	   *rule;
	const char *condition;
	int			depth;			/* of what is read */
	int			stack;			/* values on it, where steps are put now */
	int			step_size;
} MlRuleMaker;

typedef enum MlRuleExprKind
{
	ML_EXPR_CONSTANT,
	ML_EXPR_OPERATION,			/* code, a, b, arguments */
	ML_EXPR_AND, ML_EXPR_OR,
	ML_EXPR_CASE,				/* condition, result, condition, result..., else */
	ML_EXPR_COALESCE,
	ML_EXPR_IN					/* value, constants... */
} MlRuleExprKind;

/* never changed once it is made: it may be used twice */
typedef struct MlRuleExpr
{
	MlRuleExprKind kind;
	MlRuleType	type;
	int			location;
	bool		isnull;			/* CONSTANT: of these; text too where the type is UNKNOWN */
	double		number;
	bool		boolean;
	int64		usec;
	char	   *text;
	MlRuleCode	code;
	int			a;
	int			b;
	List	   *args;			/* of MlRuleExpr */
} MlRuleExpr;

/* read_rules.c: 22023 for JSON that is not what it should be; a key that is not among the known ones */
extern void ml_rules_refuse(const char *message, const char *detail, const char *hint);
extern void ml_rules_refuse_key(const char *what, const char *key, const char *const *known, int n);

/* parse.c */
extern Node *ml_rule_parse(MlRuleMaker *maker);
ml_noreturn extern void ml_rule_refuse(const MlRuleMaker *maker, int location, int sqlstate, const char *message,
									   const char *detail, const char *hint);

/* expression.c */
extern MlRuleExpr *ml_rule_expr(MlRuleMaker *maker, Node *node);
extern MlRuleExpr *ml_rule_expr_of(MlRuleMaker *maker, Node *node, MlRuleType type, const char *what);
extern MlRuleExpr *ml_expr_constant(MlRuleType type, int location);
extern MlRuleExpr *ml_expr_operation(MlRuleCode code, int a, MlRuleType type, int location, List *args);
extern MlRuleExpr *ml_expr_coerce(MlRuleMaker *maker, MlRuleExpr *expr, MlRuleType type);
extern bool ml_expr_common(MlRuleMaker *maker, List *exprs, MlRuleType *type);
extern MlRuleExpr *ml_expr_compare(MlRuleMaker *maker, MlRuleExpr *left, MlRuleExpr *right, int comparison,
								   int location);
extern int	ml_expr_variant(MlRuleType type);
extern int	ml_rule_use_column(MlRuleMaker *maker, int name);

/* operator.c */
extern MlRuleExpr *ml_rule_operator(MlRuleMaker *maker, A_Expr *node);

/* call.c */
extern MlRuleExpr *ml_rule_call(MlRuleMaker *maker, FuncCall *call);
extern MlRuleExpr *ml_rule_value_function(MlRuleMaker *maker, Node *node);

/* cast_expression.c */
extern MlRuleExpr *ml_rule_type_cast(MlRuleMaker *maker, TypeCast *cast);
extern MlRuleExpr *ml_expr_to_text(MlRuleExpr *expr);
extern bool ml_rule_is_interval(MlRuleMaker *maker, Node *node, int64 *usec);

/* emit.c: the steps of maker->rule, which has none yet */
extern void ml_rule_emit_condition(MlRuleMaker *maker, const MlRuleExpr *condition);
extern void ml_rule_emit(MlRuleMaker *maker, const MlRuleExpr *expr);

#endif							/* ML_COMPILE_H */
