/*
 * procedure.h
 *		How phases of a training or a search meet transactions.
 */
#ifndef ML_PROCEDURE_H
#define ML_PROCEDURE_H

#include "postgres.h"

#include "train/train.h"

/*
 * Runs phases(training, arg), in the caller's transaction if atomic, else with
 * the right to commit: an error is then caught, the run of the training recorded
 * as failed or cancelled, and the error raised again.
 */
extern void ml_procedure_run(MlTraining *training, bool atomic,
							 void (*phases) (MlTraining *training, void *arg), void *arg);

/* ---- inside phases ---- */

/* ends the transaction and begins another; not when atomic */
extern void ml_procedure_commit(void);

/* for MlTraining.report: commits the progress of the run, at most once a second */
extern void ml_procedure_report(MlTraining *training, const char *phase,
								int64 done, int64 total, double objective);

/*
 * Runs what may fail without ending the whole: NULL, or the error, in the
 * current context. What it has done in the transaction is undone; when not
 * atomic, so is what went before since the last commit.
 */
extern ErrorData *ml_procedure_attempt(MlTraining *training, void (*attempt) (void *arg), void *arg);

#endif							/* ML_PROCEDURE_H */
