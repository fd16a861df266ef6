/*
 * rule_row.h
 *		Rule sets as they are stored.
 */
#ifndef ML_RULE_ROW_H
#define ML_RULE_ROW_H

#include "postgres.h"

#include "model/model.h"
#include "utils/jsonb.h"

typedef struct MlRuleSetRow
{
	Jsonb	   *rules;			/* as they were written */
	bytea	   *program;
	int			nuses;
	int		   *uses;			/* versions that rules use */
	const char *note;			/* or NULL */
	Jsonb	   *checks;			/* as they were written, or NULL */
} MlRuleSetRow;

/* the number that it got */
extern int	ml_registry_insert_rules(const char *model, const MlRuleSetRow *row);

/* what is stored of one; inside a scope or outside, in the current context; false: there is none */
typedef struct MlStoredRules
{
	uint8		sha256[ML_SHA256_LENGTH];
	bytea	   *program;
	Jsonb	   *rules;
} MlStoredRules;

extern bool ml_registry_find_rules(const char *model, int number, MlStoredRules *stored);

/* inside a scope: "1, 2, 5", or NULL if the model has none */
extern char *ml_rule_set_numbers(const char *model);

/*
 * Inside a scope, under the serving lock: what a rule set is used by, in words;
 * NULL: nothing. Then it can be deleted; false: there is none.
 */
extern char *ml_rule_set_uses(const char *model, int number);
extern bool ml_rule_set_delete(const char *model, int number);

#endif							/* ML_RULE_ROW_H */
