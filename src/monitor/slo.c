/*
 * slo.c
 *		The setting slo of a model: what its owner has promised, in words, as in
 *		"roc_auc >= 0.8 over 7 days after 1 day". It is kept by a monitor.
 *
 *		slo := what ( ">=" | "<=" ) number [ "over" interval ] [ "after" interval ]
 *
 * over: the period that is looked at, 7 days by default; once a day, or once a
 * period if that is shorter. after: the label delay.
 */
#include "postgres.h"

#include <math.h>

#include "attempt.h"
#include "fmgr.h"
#include "log/log.h"
#include "monitor/monitor.h"
#include "registry/registry_catalog.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define SLO_EXAMPLE "{\"slo\": \"roc_auc >= 0.8 over 7 days after 1 day\"}"

ml_noreturn static void refuse(const char *slo, const char *problem);

static void
refuse(const char *slo, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("setting \"slo\" of a model cannot be read"),
			 errdetail("In \"%s\" %s", slo, problem),
			 errhint("Write it as in '%s'; null takes it back.", SLO_EXAMPLE)));
	pg_unreachable();
}

static Interval *
to_interval(const char *slo, const char *text)
{
	Interval   *interval = ml_attempt_interval(text);

	if (interval == NULL)
		refuse(slo, psprintf("\"%s\" is no length of time.", text));
	return interval;
}

/* cuts text at the word, which stands between blanks; what follows it, or NULL */
static char *
cut_at(char *text, const char *word)
{
	char	   *place = strstr(text, word);

	if (place == NULL)
		return NULL;
	*place = '\0';
	return place + strlen(word);
}

static char *
trimmed(char *text)
{
	char	   *end;

	while (*text == ' ')
		text++;
	end = text + strlen(text);
	while (end > text && end[-1] == ' ')
		*--end = '\0';
	return text;
}

/* the part before over and after: what, operator, number */
static void
read_bound(const char *slo, char *text, MlMonitor *monitor)
{
	char	   *number;
	char	   *end;
	double		bound;
	bool		least = true;

	number = cut_at(text, ">=");
	if (number == NULL)
	{
		least = false;
		number = cut_at(text, "<=");
	}
	if (number == NULL)
		refuse(slo, "there is neither >= nor <=.");
	monitor->what = trimmed(text);
	number = trimmed(number);
	bound = strtod(number, &end);
	if (end == number || *end != '\0' || !isfinite(bound))
		refuse(slo, psprintf("\"%s\" is no number.", number));
	monitor->minimum = least ? bound : NAN;
	monitor->maximum = least ? NAN : bound;
}

static Interval *
days(int n)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->day = n;
	return interval;
}

/* the one of the setting is the owner's, whoever replaces it */
void
ml_slo_changed(const char *model, const char *slo)
{
	MlMonitor	monitor = {.model = pstrdup(model), .name = pstrdup(ML_MONITOR_SLO), .min_rows = 50, .consecutive = 1};
	char	   *text;
	char	   *delay;
	char	   *period;

	(void) ml_monitor_delete(model, ML_MONITOR_SLO);
	ml_alert_close_all(model, ML_MONITOR_SLO, "the setting slo was changed");
	if (slo == NULL)
		return;
	text = pstrdup(slo);
	delay = cut_at(text, " after ");
	period = cut_at(text, " over ");
	read_bound(slo, text, &monitor);
	monitor.period = period ? to_interval(slo, trimmed(period)) : days(7);
	monitor.every = ml_watch_interval(monitor.period) < USECS_PER_DAY ? monitor.period : days(1);
	monitor.label_delay = delay ? to_interval(slo, trimmed(delay)) : days(0);
	monitor.cooldown = days(1);
	monitor.action = ML_ACTION_ALERT;
	monitor.measure = ml_measure_require(model, monitor.what);
	ml_monitor_set(&monitor);
}
