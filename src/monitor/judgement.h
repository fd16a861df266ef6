/*
 * judgement.h
 *		The windows of a monitor while a tick judges them. Private to
 *		monitor_judge.c, monitor_window.c and monitor_clock.c.
 */
#ifndef ML_JUDGEMENT_H
#define ML_JUDGEMENT_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "monitor/monitor.h"

#define ML_KEPT_WINDOWS	400

typedef enum MlWindowVerdict
{
	ML_WINDOW_GOOD, ML_WINDOW_BAD, ML_WINDOW_UNCLEAR, ML_WINDOW_LEARNING, ML_WINDOW_NO_DATA, ML_NWINDOW_VERDICTS
} MlWindowVerdict;

typedef struct MlWindow
{
	TimestampTz until;
	MlSeen		seen;
	MlWindowVerdict verdict;
	int			alert;			/* 0: none */
	bool		unreal;			/* somebody said so of its alert */
} MlWindow;

typedef struct MlJudgement
{
	MlMonitor  *monitor;
	TimestampTz as_of;
	TimestampTz newest;			/* end of the newest window */
	MlWindow   *window;			/* those before, oldest first, and those judged now */
	int			nwindows;
	MlAlert		alert;			/* the one that is open */
	double		minimum;		/* of the window at hand; NaN: none */
	double		maximum;
} MlJudgement;

/* ---- monitor_clock.c ---- */

extern int64 ml_monitor_every(const MlMonitor *monitor);

/* the newest end of a window whose outcomes are known by then */
extern TimestampTz ml_window_newest(TimestampTz as_of, int64 label_delay, int64 every);

/* false: another session has the clock, or it is ahead of as_of, which is then told */
extern bool ml_monitor_take_clock(const char *model, TimestampTz as_of);

/* ---- monitor_window.c ---- */

/* the newest ones, and room for more */
extern void ml_windows_read(MlJudgement *judgement, int more);
extern void ml_window_write(const MlJudgement *judgement, const MlWindow *window);

/* the windows from one on that made an alert open */
extern void ml_windows_mark(MlJudgement *judgement, TimestampTz from);
extern void ml_windows_prune(const MlJudgement *judgement);

#endif							/* ML_JUDGEMENT_H */
