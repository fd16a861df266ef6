/*
 * code.c
 *		What instructions take from the stack and leave there.
 */
#include "postgres.h"

#include "rule/opcode.h"

const MlRuleCodeInfo ml_rule_code[ML_NOPS] = {
#define OP(name, takes, gives) {takes, sizeof(takes) - 1, gives},
	ML_RULE_CODES(OP)
#undef OP
};
