/*
 * network.c
 *		Feed-forward networks over minibatches.
 *
 *		h_0 = x;  h_l = activation(W_l h_(l-1) + b_l);  eta = the last without it
 *
 * The gradient goes backwards through the layers (Rumelhart, Hinton & Williams,
 * Learning representations by back-propagating errors, Nature 323, 1986): with
 * d_L = dloss/deta,
 *
 *		dloss/dW_l = d_l h_(l-1)',  dloss/db_l = d_l,
 *		d_(l-1) = W_l' d_l * activation'(h_(l-1))
 *
 * where activation' follows from the activation itself.
 */
#include <math.h>
#include <string.h>

#include "num/network.h"

#include <cblas.h>

/* Kingma & Ba, Adam: a method for stochastic optimization, ICLR 2015, algorithm 1 */
#define BETA_MEAN		0.9
#define BETA_SQUARE		0.999
#define EPSILON			1e-8

void
ml_net_layout(MlNet *net)
{
	size_t		at = 0;

	net->nunits = 0;
	for (int l = 0; l < net->nlayers; l++)
	{
		net->weight[l] = at;
		at += (size_t) net->size[l + 1] * net->size[l];
		net->bias[l] = at;
		at += net->size[l + 1];
		net->nunits += net->size[l + 1];
	}
	net->nparameters = at;
}

/* of each layer: what it gives, and the gradient by that */
size_t
ml_net_work_size(const MlNet *net, int n)
{
	return 2 * (size_t) n * net->nunits;
}

static void
activate(MlNetActivation activation, size_t n, double *h)
{
	switch (activation)
	{
		case ML_NET_RELU:
			for (size_t i = 0; i < n; i++)
				h[i] = h[i] < 0 ? 0 : h[i];	/* NaN stays */
			break;
		case ML_NET_TANH:
			for (size_t i = 0; i < n; i++)
				h[i] = tanh(h[i]);
			break;
		case ML_NET_LOGISTIC:
			for (size_t i = 0; i < n; i++)
				h[i] = 1 / (1 + exp(-h[i]));
			break;
	}
}

/* d *= activation'(h) */
static void
derive(MlNetActivation activation, size_t n, const double *h, double *d)
{
	switch (activation)
	{
		case ML_NET_RELU:
			for (size_t i = 0; i < n; i++)
				d[i] = h[i] > 0 ? d[i] : 0;
			break;
		case ML_NET_TANH:
			for (size_t i = 0; i < n; i++)
				d[i] *= 1 - h[i] * h[i];
			break;
		case ML_NET_LOGISTIC:
			for (size_t i = 0; i < n; i++)
				d[i] *= h[i] * (1 - h[i]);
			break;
	}
}

/* out = in W' + b */
static void
forward(const MlNet *net, const double *theta, int l, int n, const double *in, double *out)
{
	int			inputs = net->size[l];
	int			units = net->size[l + 1];

	for (int i = 0; i < n; i++)
		memcpy(out + (size_t) i * units, theta + net->bias[l], units * sizeof(double));
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, units, inputs, 1, in, inputs,
				theta + net->weight[l], inputs, 1, out, units);
	if (l < net->nlayers - 1)
		activate(net->activation, (size_t) n * units, out);
}

/* log sum exp(eta) - eta_y; eta becomes the probabilities, and the gradient if 1 is taken from that of y */
static double
softmax_loss(int k, double *eta, int y)
{
	double		largest = eta[0];
	double		own = eta[y];
	double		sum = 0;

	for (int c = 1; c < k; c++)
		largest = fmax(largest, eta[c]);
	for (int c = 0; c < k; c++)
	{
		eta[c] = exp(eta[c] - largest);
		sum += eta[c];
	}
	for (int c = 0; c < k; c++)
		eta[c] /= sum;
	eta[y] -= 1;
	return largest - own + log(sum);
}

/* the loss of a row; eta becomes the gradient by eta */
static double
row_loss(const MlNet *net, double y, double *eta)
{
	double		e;
	double		difference;
	double		loss;

	switch (net->loss)
	{
		case ML_NET_SQUARED:
			difference = eta[0] - y;
			eta[0] = difference;
			return 0.5 * difference * difference;
		case ML_NET_LOGIT:
			e = exp(-fabs(eta[0]));
			loss = (eta[0] > 0 ? eta[0] : 0) - y * eta[0] + log1p(e);
			eta[0] = (eta[0] > 0 ? 1 / (1 + e) : e / (1 + e)) - y;
			return isnan(e) ? e : loss;
		case ML_NET_SOFTMAX:
			return softmax_loss(net->size[net->nlayers], eta, (int) y);
	}
	return NAN;
}

/* gradient += that of layer l; d is dloss/d(what the layer gives before activation) */
static void
layer_gradient(const MlNet *net, int l, int n, const double *in, const double *d, double *gradient)
{
	int			inputs = net->size[l];
	int			units = net->size[l + 1];
	double	   *bias = gradient + net->bias[l];

	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, units, inputs, n, 1, d, units,
				in, inputs, 1, gradient + net->weight[l], inputs);
	for (int i = 0; i < n; i++)
		for (int u = 0; u < units; u++)
			bias[u] += d[(size_t) i * units + u];
}

double
ml_net_loss(const MlNet *net, const double *theta, const MlNetRows *rows,
			double *work, double *gradient)
{
	int			n = rows->n;
	int			last = net->nlayers - 1;
	int			k = net->size[net->nlayers];
	const double *h[ML_NET_LAYERS + 1];
	double	   *out[ML_NET_LAYERS];
	double	   *d[ML_NET_LAYERS] = {NULL};
	double		loss = 0;

	h[0] = rows->x;
	for (int l = 0; l <= last; l++)
	{
		out[l] = work;
		h[l + 1] = out[l];
		d[l] = work + (size_t) n * net->size[l + 1];
		work = d[l] + (size_t) n * net->size[l + 1];
		forward(net, theta, l, n, h[l], out[l]);
	}
	memcpy(d[last], h[last + 1], (size_t) n * k * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		double	   *of_row = d[last] + (size_t) i * k;

		loss += rows->weight[i] * row_loss(net, rows->y[i], of_row);
		for (int c = 0; c < k; c++)
			of_row[c] *= rows->weight[i];
	}
	for (int l = last; gradient && l >= 0; l--)
	{
		layer_gradient(net, l, n, h[l], d[l], gradient);
		if (l == 0)
			break;
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, net->size[l], net->size[l + 1],
					1, d[l], net->size[l + 1], theta + net->weight[l], net->size[l], 0, d[l - 1], net->size[l]);
		derive(net->activation, (size_t) n * net->size[l], h[l], d[l - 1]);
	}
	return loss;
}

void
ml_adam_step(MlAdam *adam, size_t n, const double *gradient, double *theta)
{
	double		mean_start;
	double		square_start;

	adam->steps++;
	mean_start = 1 - pow(BETA_MEAN, (double) adam->steps);
	square_start = 1 - pow(BETA_SQUARE, (double) adam->steps);
	for (size_t i = 0; i < n; i++)
	{
		double		g = gradient[i];

		adam->mean[i] = BETA_MEAN * adam->mean[i] + (1 - BETA_MEAN) * g;
		adam->square[i] = BETA_SQUARE * adam->square[i] + (1 - BETA_SQUARE) * g * g;
		theta[i] -= adam->rate * (adam->mean[i] / mean_start) /
			(sqrt(adam->square[i] / square_start) + EPSILON);
	}
}
