/*
 * opcode.h
 *		The instructions of programs of rules: a machine with a stack.
 *
 * An instruction has a code, a small operand a and a larger one b. What it
 * takes from the stack and leaves there is part of the list below, by which
 * the reader checks every program: n number, b boolean, t text, s time, ? any
 * type, - nothing. A code never changes its meaning; new ones come last.
 * docs/formats.md names them.
 */
#ifndef ML_OPCODE_H
#define ML_OPCODE_H

#include "postgres.h"

/* OP(name, takes, gives): the topmost value of the stack is the last one of takes */
#define ML_RULE_CODES(OP) \
	OP(COLUMN, "", '?')			/* b: of the columns; gives its type */ \
	OP(NUMBER, "", 'n')			/* b: of the numbers */ \
	OP(TEXT, "", 't')			/* b: of the texts */ \
	OP(TIME, "", 's')			/* b: of the times */ \
	OP(TRUE, "", 'b') \
	OP(FALSE, "", 'b') \
	OP(NULL_N, "", 'n') \
	OP(NULL_B, "", 'b') \
	OP(NULL_T, "", 't') \
	OP(NULL_S, "", 's') \
	OP(PREDICTION, "", 'n') \
	OP(LABEL, "", 't') \
	OP(KEY, "", 't') \
	OP(NOW, "", 's')			/* UTC */ \
	OP(JUMP, "", '-')			/* b: instructions to be passed over; also below */ \
	OP(UNLESS_TRUE, "b", '-')	/* jumps unless it is true */ \
	OP(IF_FALSE, "b", '-')		/* jumps if it is false, which stays on the stack */ \
	OP(IF_TRUE, "b", '-')		/* likewise */ \
	OP(IF_VALUE, "?", '-')		/* jumps if it is not NULL, and it stays; else it goes */ \
	OP(AND, "bb", 'b') \
	OP(OR, "bb", 'b') \
	OP(NOT, "b", 'b') \
	OP(IS_NULL, "?", 'b') \
	OP(IS_TRUE, "b", 'b') \
	OP(IS_FALSE, "b", 'b') \
	OP(COMPARE_N, "nn", 'b')	/* a: 0 =, 1 <>, 2 <, 3 <=, 4 >, 5 >= */ \
	OP(COMPARE_B, "bb", 'b') \
	OP(COMPARE_T, "tt", 'b') \
	OP(COMPARE_S, "ss", 'b') \
	OP(DISTINCT_N, "nn", 'b') \
	OP(DISTINCT_B, "bb", 'b') \
	OP(DISTINCT_T, "tt", 'b') \
	OP(DISTINCT_S, "ss", 'b') \
	OP(NULLIF_N, "nn", 'n') \
	OP(NULLIF_B, "bb", 'b') \
	OP(NULLIF_T, "tt", 't') \
	OP(NULLIF_S, "ss", 's') \
	OP(GREATER_N, "nn", 'n')	/* a: 0 the greater, 1 the less; NULL if both are */ \
	OP(GREATER_B, "bb", 'b') \
	OP(GREATER_T, "tt", 't') \
	OP(GREATER_S, "ss", 's') \
	OP(IN_N, "n", 'b')			/* a: how many numbers, the first is b */ \
	OP(IN_T, "t", 'b')			/* likewise texts */ \
	OP(ADD, "nn", 'n') \
	OP(SUBTRACT, "nn", 'n') \
	OP(MULTIPLY, "nn", 'n') \
	OP(DIVIDE, "nn", 'n') \
	OP(MODULO, "nn", 'n') \
	OP(POWER, "nn", 'n') \
	OP(NEGATE, "n", 'n') \
	OP(ABS, "n", 'n') \
	OP(SIGN, "n", 'n') \
	OP(ROUND, "n", 'n')			/* halves to the even number */ \
	OP(FLOOR, "n", 'n') \
	OP(CEIL, "n", 'n') \
	OP(TRUNC, "n", 'n') \
	OP(SQRT, "n", 'n') \
	OP(EXP, "n", 'n') \
	OP(LN, "n", 'n') \
	OP(LOG10, "n", 'n') \
	OP(LIKE, "tt", 'b')			/* a: 1 ASCII letters match in either case */ \
	OP(CONCAT, "tt", 't') \
	OP(LOWER, "t", 't')			/* ASCII letters */ \
	OP(UPPER, "t", 't') \
	OP(LENGTH, "t", 'n')		/* characters */ \
	OP(SUBSTR_FROM, "tn", 't') \
	OP(SUBSTR, "tnn", 't') \
	OP(LEFT, "tn", 't') \
	OP(RIGHT, "tn", 't') \
	OP(STARTS_WITH, "tt", 'b') \
	OP(POSITION, "tt", 'n')		/* of the second in the first, from 1; 0: nowhere */ \
	OP(TRIM, "t", 't')			/* of blanks; a: 1 in front, 2 behind, 3 both */ \
	OP(NUMBER_TO_TEXT, "n", 't') \
	OP(NUMBER_TO_BOOL, "n", 'b') \
	OP(NUMBER_TO_INT, "n", 'n')	/* a: bytes; halves to the even number */ \
	OP(NUMBER_TO_REAL, "n", 'n') \
	OP(BOOL_TO_TEXT, "b", 't') \
	OP(BOOL_TO_NUMBER, "b", 'n') \
	OP(TEXT_TO_NUMBER, "t", 'n') \
	OP(TEXT_TO_INT, "t", 'n')	/* a: bytes */ \
	OP(TEXT_TO_BOOL, "t", 'b') \
	OP(TEXT_TO_TIME, "t", 's')	/* a: 1 in UTC, by its offset or from the zone; 0 local, without offset */ \
	OP(TIME_TO_TEXT, "s", 't')	/* a: 1 in UTC, shown in the zone */ \
	OP(TO_UTC, "s", 's')		/* from local time in the zone */ \
	OP(TO_LOCAL, "s", 's') \
	OP(DAY, "s", 's')			/* midnight of it */ \
	OP(SHIFT, "s", 's')			/* by the b-th of the times */ \
	OP(EXTRACT, "s", 'n')		/* a: MlRuleField, + 128: the time is in UTC */ \
	OP(FROM_EPOCH, "n", 's')

typedef enum MlRuleCode
{
#define OP(name, takes, gives) ML_OP_##name,
	ML_RULE_CODES(OP)
#undef OP
	ML_NOPS,

	/* what the reader makes of frequent sequences; not in bytes */
	ML_OP_TEST_COLUMN = ML_NOPS,	/* COLUMN b, NUMBER, COMPARE_N, UNLESS_TRUE; a: outcomes that pass */
	ML_OP_TEST_PREDICTION,
	ML_OP_TEST_TEXT,			/* COLUMN b, TEXT, COMPARE_T (=), UNLESS_TRUE */
	ML_OP_TEST_TOP,				/* NUMBER, COMPARE_N, UNLESS_TRUE, of what is on the stack */
	ML_OP_TEST_IN,				/* COLUMN b, IN_N, UNLESS_TRUE; a: how many numbers */
	ML_OP_TEST_NULL,			/* COLUMN b, IS_NULL, UNLESS_TRUE */
	ML_OP_TEST_VALUE			/* COLUMN b, IS_NULL, NOT, UNLESS_TRUE */
} MlRuleCode;

typedef enum MlRuleComparison
{
	ML_CMP_EQ, ML_CMP_NE, ML_CMP_LT, ML_CMP_LE, ML_CMP_GT, ML_CMP_GE
} MlRuleComparison;

/* outcomes of comparing two numbers, a bit each: less, equal, greater; with NaN there is none */
#define ML_RULE_LESS	1
#define ML_RULE_EQUAL	2
#define ML_RULE_GREATER	4

/* those in which a comparison holds */
static inline int
ml_rule_outcomes(MlRuleComparison comparison)
{
	static const uint8 outcomes[] = {
		ML_RULE_EQUAL, ML_RULE_LESS | ML_RULE_GREATER, ML_RULE_LESS, ML_RULE_LESS | ML_RULE_EQUAL,
		ML_RULE_GREATER, ML_RULE_GREATER | ML_RULE_EQUAL
	};

	return outcomes[comparison];
}

/* the first ones of an infinite time are infinite, the others NULL */
typedef enum MlRuleField
{
	ML_FIELD_YEAR, ML_FIELD_EPOCH,
	ML_FIELD_QUARTER, ML_FIELD_MONTH, ML_FIELD_WEEK, ML_FIELD_DAY_OF_MONTH, ML_FIELD_DOW, ML_FIELD_ISODOW,
	ML_FIELD_DOY, ML_FIELD_HOUR, ML_FIELD_MINUTE, ML_FIELD_SECOND
} MlRuleField;

#define ML_LAST_FIELD	ML_FIELD_SECOND
#define ML_RULE_ZONED		128

#define ML_RULE_STACK		64	/* values at most */
#define ML_RULE_MAX_STEPS	8192	/* of a rule */
#define ML_RULE_MAX_CONSTANTS 16384	/* of a kind */
#define ML_RULE_MAX_COLUMNS	1600
#define ML_RULE_MAX_BYTES	(1024 * 1024)

typedef struct MlRuleCodeInfo
{
	const char *takes;
	uint8		ntakes;
	char		gives;
} MlRuleCodeInfo;

extern const MlRuleCodeInfo ml_rule_code[ML_NOPS];

#endif							/* ML_OPCODE_H */
