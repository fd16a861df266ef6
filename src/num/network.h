/*
 * network.h
 *		Feed-forward networks over minibatches: loss, gradient, and Adam.
 *
 * All parameters are one vector: of each layer its weights (units x inputs,
 * row-major), then its biases. Rows are row-major.
 */
#ifndef ML_NUM_NETWORK_H
#define ML_NUM_NETWORK_H

#include <stddef.h>
#include <stdint.h>

#define ML_NET_LAYERS	3		/* at most: two hidden ones and the output */

typedef enum MlNetActivation
{
	ML_NET_RELU, ML_NET_TANH, ML_NET_LOGISTIC
} MlNetActivation;

typedef enum MlNetLoss
{
	ML_NET_SQUARED,				/* 1/2 (y - eta)^2 */
	ML_NET_LOGIT,				/* log(1 + exp(eta)) - y eta */
	ML_NET_SOFTMAX				/* log sum exp(eta) - eta_y */
} MlNetLoss;

typedef struct MlNet
{
	int			nlayers;
	int			size[ML_NET_LAYERS + 1];	/* inputs, then the units of each layer */
	MlNetActivation activation; /* of the hidden layers */
	MlNetLoss	loss;

	/* made by ml_net_layout */
	size_t		weight[ML_NET_LAYERS];	/* where a layer's weights begin */
	size_t		bias[ML_NET_LAYERS];
	size_t		nparameters;
	int			nunits;			/* of all layers */
} MlNet;

typedef struct MlNetRows
{
	int			n;
	const double *x;			/* n x size[0] */
	const double *y;			/* n */
	const double *weight;		/* n */
} MlNetRows;

extern void ml_net_layout(MlNet *net);

/* doubles of memory that ml_net_loss wants for n rows */
extern size_t ml_net_work_size(const MlNet *net, int n);

/*
 * Sum over the rows of weight times loss; its gradient is added to gradient
 * unless that is NULL.
 */
extern double ml_net_loss(const MlNet *net, const double *theta, const MlNetRows *rows,
						  double *work, double *gradient);

/* moments of the gradient; zeroed at the start */
typedef struct MlAdam
{
	double		rate;
	int64_t		steps;
	double	   *mean;			/* nparameters */
	double	   *square;			/* nparameters */
} MlAdam;

/* theta -= rate * mean / (sqrt(square) + epsilon), both corrected for their start at 0 */
extern void ml_adam_step(MlAdam *adam, size_t n, const double *gradient, double *theta);

#endif							/* ML_NUM_NETWORK_H */
