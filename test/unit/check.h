/*
 * check.h
 *		What a unit test needs: lines "ok N - name" and "not ok N - name" that
 *		TAP readers count, and a plan at the end.
 */
#ifndef ML_TEST_CHECK_H
#define ML_TEST_CHECK_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static int	checks_run;
static int	checks_failed;

static inline void
check(bool passed, const char *name)
{
	checks_run++;
	if (!passed)
		checks_failed++;
	printf("%s %d - %s\n", passed ? "ok" : "not ok", checks_run, name);
}

/* relative to what is wanted; absolute where that is 0 */
static inline void
check_close(double got, double want, double tolerance, const char *name)
{
	double		scale = want != 0 ? fabs(want) : 1;
	bool		passed = fabs(got - want) <= tolerance * scale;

	check(passed, name);
	if (!passed)
		printf("# got %.17g, want %.17g, relative error %.3g\n", got, want, fabs(got - want) / scale);
}

static inline int
checks_done(void)
{
	printf("1..%d\n", checks_run);
	return checks_failed > 0;
}

#endif							/* ML_TEST_CHECK_H */
