/*
 * launcher.h
 *		The background worker that starts the log writers.
 */
#ifndef ML_LAUNCHER_H
#define ML_LAUNCHER_H

/* in _PG_init of a library that is preloaded */
extern void ml_launcher_register(void);

#endif							/* ML_LAUNCHER_H */
