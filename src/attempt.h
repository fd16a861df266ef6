/*
 * attempt.h
 *		Something that may fail, where its failure is a result.
 */
#ifndef ML_ATTEMPT_H
#define ML_ATTEMPT_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Calls attempt(arg) in a subtransaction. NULL if it came to its end; else its
 * error, copied into the current context, after everything that it did to the
 * database, the current user and the settings has been undone. A cancel or a
 * shutdown is nobody's result and goes on.
 */
extern ErrorData *ml_attempt(void (*attempt) (void *arg), void *arg);

/*
 * Calls call(arg). An error goes on as if the caller had raised it: without the context and the text of statements of
 * ours that call has run, but with the context that is given, if any. What it did is undone by whoever catches the
 * error, as always.
 */
extern void ml_call_plainly(void (*call) (void *arg), void *arg, const char *context);

/* text as the server reads it: the length of time, or NULL if it is none; false if it is no moment */
extern Interval *ml_attempt_interval(const char *text);
extern bool ml_attempt_time(const char *text, TimestampTz *moment);

/* a cancel, a timeout of statements or a shutdown, and not an error that says it is one */
extern bool ml_error_is_cancel(const ErrorData *error);

/* a WARNING that says what failed, "outcomes were not pulled", with code and words of the error */
extern void ml_attempt_warn(const ErrorData *error, const char *what);

#endif							/* ML_ATTEMPT_H */
