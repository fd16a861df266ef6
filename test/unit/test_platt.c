/*
 * test_platt.c
 *		Platt scaling against Newton's method written with numpy and against
 *		scikit-learn 1.2.1's _sigmoid_calibration (which agrees to 1e-6), on
 *		scores and labels made by the same formulas.
 */
#include "check.h"
#include "num/platt.h"

#define N 200

static int	ticks;

static void
count_tick(void *arg)
{
	(*(int *) arg)++;
}

int
main(void)
{
	double		score[N];
	double		label[N];
	double		weight[N];
	double		slope;
	double		shift;
	double		same_slope;
	double		same_shift;
	MlPlattRows rows = {N, score, label, NULL, count_tick, &ticks};

	for (int i = 1; i <= N; i++)
	{
		double		s = (i * 37) % 101 / 25.0 - 2;

		score[i - 1] = s;
		label[i - 1] = ((i * 7919) % 103) / 103.0 < 1 / (1 + exp(-(1.3 * s + 0.4)));
		weight[i - 1] = 1 + i % 3;
	}
	check(ml_platt_fit(&rows, &slope, &shift) == ML_NUM_OK, "it converges");
	check_close(slope, 1.477065423190695, 1e-12, "slope");
	check_close(shift, 0.32160851834137477, 1e-12, "shift");
	check(ticks > 0, "interrupts can be looked for");

	rows.weight = weight;
	ml_platt_fit(&rows, &slope, &shift);
	check_close(slope, 1.3402693402711423, 1e-12, "slope with weights");
	check_close(shift, 0.3751783710901571, 1e-12, "shift with weights");

	/* another unit of the score is no other sigmoid */
	for (int i = 0; i < N; i++)
		score[i] = 1e9 + score[i] * 1e3;
	check(ml_platt_fit(&rows, &same_slope, &same_shift) == ML_NUM_OK, "it converges in another unit");
	check_close(same_slope * 1e3, slope, 1e-8, "slope in another unit");
	check_close(same_shift + same_slope * 1e9, shift, 1e-5, "shift in another unit");

	/* scores that separate the labels still have a finite sigmoid */
	for (int i = 0; i < N; i++)
		score[i] = label[i] != 0 ? 1 + i * 0.01 : -1 - i * 0.01;
	rows.weight = NULL;
	check(ml_platt_fit(&rows, &slope, &shift) == ML_NUM_OK && slope > 0, "separated scores");

	/* scores that tell nothing: the share of label 1 under the prior, 111 / 112 and 1 / 92 */
	for (int i = 0; i < N; i++)
		score[i] = 7;
	check(ml_platt_fit(&rows, &slope, &shift) == ML_NUM_OK && slope == 0, "constant scores");
	check_close(1 / (1 + exp(-shift)), (110 * (111.0 / 112) + 90 * (1.0 / 92)) / N, 1e-10, "their probability");

	score[3] = NAN;
	check(ml_platt_fit(&rows, &slope, &shift) == ML_NUM_NOT_FINITE, "NaN is refused");
	score[3] = INFINITY;
	check(ml_platt_fit(&rows, &slope, &shift) == ML_NUM_NOT_FINITE, "infinity is refused");
	return checks_done();
}
