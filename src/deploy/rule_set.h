/*
 * rule_set.h
 *		What making and trying of rules share. Private to deploy/.
 */
#ifndef ML_RULE_SET_H
#define ML_RULE_SET_H

#include "postgres.h"

#include "compat.h"
#include "rule/rule.h"

/* the version that rules are checked against: the active one, or the newest; pinned by the current context */
extern const MlModel *ml_rules_model(const char *model, int *version);

/* 42704; numbers: those that there are, or NULL */
ml_noreturn extern void ml_error_no_rules(const char *model, int number, const char *numbers);

#endif							/* ML_RULE_SET_H */
