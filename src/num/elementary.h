/*
 * elementary.h
 *		exp and log, four at a time: written out rather than called, so that the
 *		bits are the same whatever the C library's version or the processor.
 *		Errors are below 2 units in the last place.
 */
#ifndef ML_NUM_ELEMENTARY_H
#define ML_NUM_ELEMENTARY_H

#include "num/vector.h"

#define ML_EXP_LARGEST 700.0	/* vec_exp takes -700 .. 700 */

/* a = k log 2 + r with |r| <= log(2) / 2, and the Taylor series of exp(r) to r^13 */
ML_INLINE MlVec
vec_exp(MlVec a)
{
	static const double coefficient[] = {
		1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
		1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1
	};
	const MlVec shift = ML_SPLAT(6755399441055744.0);	/* 1.5 * 2^52: adding it rounds */
	MlVec		shifted = a * ML_SPLAT(1.44269504088896340736) + shift;
	MlVec		k = shifted - shift;
	MlVec		r = a - k * ML_SPLAT(6.93147180369123816490e-01);
	MlVec		sum = ML_SPLAT(coefficient[0]);
	MlVecInt	exponent;

	r -= k * ML_SPLAT(1.90821492927058770002e-10);
	for (int i = 1; i < (int) (sizeof(coefficient) / sizeof(coefficient[0])); i++)
		sum = sum * r + ML_SPLAT(coefficient[i]);

	/* k sits in the low bits of the shifted sum */
	exponent = (MlVecInt) shifted - (MlVecInt) shift;
	return sum * (MlVec) ((1023 + exponent) << 52);
}

/*
 * x > 0, normal: x = 2^k m with sqrt(1/2) <= m < sqrt(2), and log m as
 * 2 artanh(s), s = (m - 1) / (m + 1), so that |s| <= 0.172 and s^23 is the last
 * term that counts.
 */
ML_INLINE MlVec
vec_log(MlVec x)
{
	const MlVecInt mantissa = {0xfffffffffffff, 0xfffffffffffff, 0xfffffffffffff, 0xfffffffffffff};
	const MlVecInt one = {0x3ff0000000000000, 0x3ff0000000000000, 0x3ff0000000000000, 0x3ff0000000000000};
	MlVecInt	bits = (MlVecInt) x;
	MlVecInt	power = ((bits >> 52) & 0x7ff) - 1023;
	MlVec		m = (MlVec) ((bits & mantissa) | one);
	MlVecInt	big = m > ML_SPLAT(1.4142135623730951);
	MlVec		k;
	MlVec		s;
	MlVec		s2;
	MlVec		sum = ML_SPLAT(1.0 / 23);

	m = vec_select(big, m * 0.5, m);
	power -= big;				/* a mask that is set is -1 */
	k = __builtin_convertvector(power, MlVec);
	s = (m - 1.0) / (m + 1.0);
	s2 = s * s;
	for (int i = 21; i >= 3; i -= 2)
		sum = sum * s2 + 1.0 / i;

	/* 2 s (1 + s2 sum), the large part last */
	return k * 6.93147180369123816490e-01 + (2.0 * s + (2.0 * s * s2 * sum + k * 1.90821492927058770002e-10));
}

#endif							/* ML_NUM_ELEMENTARY_H */
