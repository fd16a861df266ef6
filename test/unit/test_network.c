/*
 * test_network.c
 *		The gradient of every kind of network against differences of its loss;
 *		Adam against its first steps written out.
 */
#include <string.h>

#include "check.h"
#include "num/network.h"

#define N 7
#define INPUTS 3
#define MOST 200

/* any numbers in [-1, 1), the same every time */
static double
some(int i)
{
	return sin(12.9898 * i + 78.233 * (i % 7));
}

/* the largest difference between gradient and central differences, relative to the largest element */
static double
gradient_error(MlNet *net)
{
	double		theta[MOST];
	double		gradient[MOST] = {0};
	double		work[2048];
	double		x[N * INPUTS];
	double		y[N];
	double		weight[N];
	MlNetRows	rows = {N, x, y, weight};
	double		largest = 0;
	double		worst = 0;

	ml_net_layout(net);
	check(net->nparameters <= MOST && ml_net_work_size(net, N) <= 2048, "sizes");
	for (int i = 0; i < N * INPUTS; i++)
		x[i] = some(i + 1000);
	for (int i = 0; i < N; i++)
	{
		y[i] = net->loss == ML_NET_SQUARED ? some(i + 500) * 3
			: i % (net->loss == ML_NET_LOGIT ? 2 : net->size[net->nlayers]);
		weight[i] = 0.5 + i % 3;
	}
	for (size_t i = 0; i < net->nparameters; i++)
		theta[i] = some((int) i);
	ml_net_loss(net, theta, &rows, work, gradient);
	for (size_t i = 0; i < net->nparameters; i++)
	{
		double		at = theta[i];
		double		above;
		double		below;

		theta[i] = at + 1e-6;
		above = ml_net_loss(net, theta, &rows, work, NULL);
		theta[i] = at - 1e-6;
		below = ml_net_loss(net, theta, &rows, work, NULL);
		theta[i] = at;
		largest = fmax(largest, fabs(gradient[i]));
		worst = fmax(worst, fabs(gradient[i] - (above - below) / 2e-6));
	}
	return worst / largest;
}

static void
check_gradients(void)
{
	static const char *const loss_name[] = {"squared", "logit", "softmax"};
	static const char *const activation_name[] = {"relu", "tanh", "logistic"};

	for (int loss = ML_NET_SQUARED; loss <= ML_NET_SOFTMAX; loss++)
		for (int activation = ML_NET_RELU; activation <= ML_NET_LOGISTIC; activation++)
			for (int hidden = 1; hidden <= 2; hidden++)
			{
				MlNet		net = {.nlayers = hidden + 1, .size = {INPUTS, 5, 4, 4}, .activation = activation, .loss = loss};
				char		name[80];

				net.size[hidden + 1] = loss == ML_NET_SOFTMAX ? 4 : 1;
				snprintf(name, sizeof(name), "gradient: %s, %s, %d hidden",
						 loss_name[loss], activation_name[activation], hidden);
				check_close(gradient_error(&net), 0, 1e-7, name);
			}
}

/* eta = 2 x + 1 by hand: one hidden unit that relu leaves alone */
static void
check_values(void)
{
	MlNet		net = {.nlayers = 2, .size = {1, 1, 1}};
	double		theta[4] = {2, 0, 1, 1};
	double		x[2] = {3, 10};
	double		y[2] = {5, 21};
	double		weight[2] = {2, 1};
	MlNetRows	rows = {2, x, y, weight};
	double		work[16];

	ml_net_layout(&net);
	check_close(ml_net_loss(&net, theta, &rows, work, NULL), 2 * 0.5 * 2 * 2, 1e-15, "squared loss by hand");
	net.loss = ML_NET_LOGIT;
	y[0] = 1;
	y[1] = 0;
	check_close(ml_net_loss(&net, theta, &rows, work, NULL), 2 * log1p(exp(-7)) + 21 + log1p(exp(-21)),
				1e-15, "logit loss by hand");
	theta[3] = 1e300;
	check(isfinite(ml_net_loss(&net, theta, &rows, work, NULL)), "a logit far out is a finite loss");
	theta[3] = NAN;
	check(isnan(ml_net_loss(&net, theta, &rows, work, NULL)), "NaN stays NaN");
}

static void
check_adam(void)
{
	double		mean[2] = {0};
	double		square[2] = {0};
	MlAdam		adam = {0.1, 0, mean, square};
	double		theta[2] = {1, 1};
	double		gradient[2] = {4, -0.5};

	/* the first step is the rate itself, whatever the gradient's size */
	ml_adam_step(&adam, 2, gradient, theta);
	check_close(theta[0], 1 - 0.1 * 4 / (4 + 1e-8), 1e-14, "first step of Adam");
	check_close(theta[1], 1 + 0.1 * 0.5 / (0.5 + 1e-8), 1e-14, "first step the other way");
	gradient[0] = 0;
	ml_adam_step(&adam, 2, gradient, theta);
	check_close(theta[0], 1 - 0.1 * 4 / (4 + 1e-8) -
				0.1 * (0.9 * 0.4 / 0.19) / (sqrt(0.999 * 0.016 / (1 - 0.999 * 0.999)) + 1e-8),
				1e-12, "second step of Adam");
}

int
main(void)
{
	check_gradients();
	check_values();
	check_adam();
	return checks_done();
}
