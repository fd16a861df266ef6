/*
 * value.h
 *		What the functions of rules do with values. Private to rule/.
 *
 * A function replaces its arguments, the topmost values of the stack, with its
 * result, and answers where that is. NULL in gives NULL out.
 */
#ifndef ML_RULE_VALUE_H
#define ML_RULE_VALUE_H

#include "postgres.h"

#include "rule/opcode.h"
#include "rule/rule.h"

/* bytes of text that the rules may make of one row; what is beyond has no value */
#define ML_RULE_MAX_TEXT	(16 * 1024 * 1024)

/* function.c */
extern MlRuleValue *ml_rule_function(MlRuleView *view, const MlRuleStep *step, MlRuleValue *top);
extern void ml_rule_no_value(MlRuleView *view, MlRuleValue *value);

/* text_value.c: by bytes, as memcmp() */
extern int	ml_rule_compare_text(const MlRuleValue *a, const MlRuleValue *b);
extern void ml_rule_text_function(MlRuleView *view, const MlRuleStep *step, MlRuleValue *argument);

/* cast.c */
extern void ml_rule_cast(MlRuleView *view, const MlRuleStep *step, MlRuleValue *value);

/* false: no number, or out of the range of double */
extern bool ml_rule_parse_number(const char *bytes, int length, double *number);

/* time_value.c */
extern void ml_rule_time_function(MlRuleView *view, const MlRuleStep *step, MlRuleValue *value);

/* zoned: to UTC, by the offset that is written or else from the zone; otherwise without offset */
extern bool ml_rule_parse_time(const char *bytes, int length, bool zoned, struct pg_tz *zone, int64 *usec);
extern char *ml_rule_time_text(int64 usec, bool zoned, struct pg_tz *zone);

#endif							/* ML_RULE_VALUE_H */
