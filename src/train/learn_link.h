/*
 * learn_link.h
 *		The way from mlops to mlops_learn, loaded on first use.
 */
#ifndef ML_LEARN_LINK_H
#define ML_LEARN_LINK_H

#include "postgres.h"

#include "learn/algorithm.h"

/* loads mlops_learn if need be; the table lives as long as the process */
extern const MlLearnApi *ml_learn(void);

/* by name; 42704 with the nearest name and the list */
extern const MlAlgorithm *ml_learn_algorithm(const char *name);

#endif							/* ML_LEARN_LINK_H */
