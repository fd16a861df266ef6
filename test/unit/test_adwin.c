/*
 * test_adwin.c
 *		A window of adaptive length against what its theorems promise (Bifet &
 *		Gavalda 2007): means of the values in it, a bound on false cuts, memory
 *		in the logarithm of the values, and how soon a step is seen.
 */
#include "check.h"
#include "postgres.h"
#include "drift/adwin.h"

#undef printf

#define STREAM 20000

/* SplitMix64: the same stream on every machine */
static uint64_t seed;

static double
uniform(void)
{
	uint64_t	x = (seed += 0x9e3779b97f4a7c15ULL);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return (double) ((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

static double
coin(double p)
{
	return uniform() < p ? 1 : 0;
}

static int
count_buckets(const MlAdwin *adwin)
{
	int			n = 0;

	for (int size = 0; size < adwin->nsizes; size++)
		n += adwin->nbuckets[size];
	return n;
}

/* sum and squares of the window are those of the newest values */
static void
test_window(void)
{
	static double value[STREAM];
	MlAdwin		adwin;
	double		sum = 0;
	double		squares = 0;
	int			most = 0;

	seed = 1;
	ml_adwin_begin(&adwin, 0.002);
	for (int i = 0; i < STREAM; i++)
	{
		value[i] = i < STREAM / 2 ? uniform() : uniform() + 0.4;
		ml_adwin_add(&adwin, value[i]);
		most = count_buckets(&adwin) > most ? count_buckets(&adwin) : most;
	}
	for (int i = STREAM - (int) adwin.width; i < STREAM; i++)
		sum += value[i];
	for (int i = STREAM - (int) adwin.width; i < STREAM; i++)
		squares += (value[i] - sum / adwin.width) * (value[i] - sum / adwin.width);
	check(adwin.n == STREAM, "all values are seen");
	check_close(adwin.sum, sum, 1e-10, "the sum is that of the newest values");
	check_close(adwin.squares, squares, 1e-10, "and so are the squares about their mean");
	check(most <= (ML_ADWIN_BUCKETS + 1) * (int) ceil(log2(STREAM)), "buckets grow with the logarithm of the values");
	printf("# %lld of %d values after the step\n", (long long) adwin.width, STREAM / 2);
	check(adwin.width < STREAM / 2 * 1.02 && adwin.width > STREAM / 2 * 0.95, "what was before the step is forgotten, what came after is not");
	check_close(adwin.before, 0.5, 0.05, "the mean before the step");
	check_close(adwin.sum / adwin.width, 0.9, 0.02, "the mean after it");
	check(adwin.changes >= 1 && adwin.changed_at > STREAM / 2 - 200 && adwin.changed_at <= STREAM / 2 + 200, "where it was");
}

/* at a value: theorem 3.1, part 1 */
static void
test_false_cuts(double delta, double p, const char *name)
{
	int			streams = 200;
	int			length = 2000;
	long		cuts = 0;

	seed = 2;
	for (int s = 0; s < streams; s++)
	{
		MlAdwin		adwin;

		ml_adwin_begin(&adwin, delta);
		for (int i = 0; i < length; i++)
			cuts += ml_adwin_add(&adwin, coin(p));
	}
	check(cuts <= delta * streams * length, name);
	if (cuts > delta * streams * length)
		printf("# %ld cuts\n", cuts);
}

/* values until a step from p to q is seen, the mean over streams; no cut counts before it */
static double
delay(double p, double q, int before, int *unseen)
{
	double		sum = 0;
	int			streams = 100;

	*unseen = 0;
	for (int s = 0; s < streams; s++)
	{
		MlAdwin		adwin;
		int			i;

		ml_adwin_begin(&adwin, 0.05);
		for (i = 0; i < before; i++)
			ml_adwin_add(&adwin, coin(p));
		for (i = 0; i < 5000; i++)
			if (ml_adwin_add(&adwin, coin(q)))
				break;
		*unseen += i == 5000;
		sum += i;
	}
	return sum / streams;
}

static void
test_steps(void)
{
	int			unseen;
	double		small;
	double		large;

	seed = 3;
	small = delay(0.2, 0.4, 1000, &unseen);
	check(unseen == 0, "a step from 0.2 to 0.4 is always seen");
	large = delay(0.2, 0.8, 1000, &unseen);
	check(unseen == 0 && large < small, "a larger one is seen sooner");
	printf("# %.0f and %.0f values\n", small, large);
	check(small < 250, "within 250 values");
	check(large < 40, "and within 40");
}

/* a slow rise is seen too, and the window keeps to its end */
static void
test_slope(void)
{
	MlAdwin		adwin;

	seed = 4;
	ml_adwin_begin(&adwin, 0.002);
	for (int i = 0; i < STREAM; i++)
		ml_adwin_add(&adwin, coin(0.1 + 0.8 * i / STREAM));
	check(adwin.changes > 1, "a rise is many changes");
	check(adwin.sum / adwin.width > 0.7, "the window is near its end");
}

int
main(void)
{
	MlAdwin		adwin;

	test_window();
	test_false_cuts(0.002, 0.5, "one in 500 values is a false change at most, where half are errors");
	test_false_cuts(0.002, 0.02, "and where few are");
	test_false_cuts(0.05, 0.2, "and one in 20 for a delta of 0.05");
	test_steps();
	test_slope();
	ml_adwin_begin(&adwin, 0.002);
	for (int i = 0; i < 1000; i++)
		ml_adwin_add(&adwin, 7);
	check(adwin.changes == 0 && adwin.width == 1000, "a constant never changes");
	return checks_done();
}
