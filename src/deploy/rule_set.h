/*
 * rule_set.h
 *		What making and trying of rules share. Private to deploy/.
 */
#ifndef ML_RULE_SET_H
#define ML_RULE_SET_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"
#include "rule/rule.h"

/* the version that rules are checked against: the active one, or the newest; pinned by the current context */
extern const MlModel *ml_rules_model(const char *model, int *version);

/* the threshold of the version where it serves; else the one that it proposes, or 0.5 */
extern double ml_rules_threshold(const char *model, int version);

/* those that there are, as a list, or NULL; takes a scope of its own */
extern char *ml_rules_numbers(const char *model);

/* of mlops_check_rules: the model, on which the caller has the privilege read, and the source's query */
extern char *ml_rules_check_arguments(FunctionCallInfo fcinfo, char **source);

/* 42704; numbers: those that there are, or NULL */
ml_noreturn extern void ml_error_no_rules(const char *model, int number, const char *numbers);

#endif							/* ML_RULE_SET_H */
