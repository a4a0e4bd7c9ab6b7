// Package stat holds the statistics that detectors share: pure functions and small memories without opinions. Hashes and
// the count of distinct things live in flows/sketch, thresholds in the detectors.
package stat

import "math"

// Steps are what one observation adds to a sequential probability ratio test of failing against succeeding, in nats
// (Wald 1945; Jung, Paxson, Berger and Balakrishnan 2004): theta0 is the chance of success of an honest host, theta1 of
// one that tries blindly; 0 < theta1 < theta0 < 1.
func Steps(theta0, theta1 float64) (failure, success float64) {
	return math.Log((1 - theta1) / (1 - theta0)), math.Log(theta1 / theta0)
}

// Reflect makes one step of a test that never believes in innocence for good: the walk stays at or above 0, so that
// successes of the past buy nothing. This is Page's CUSUM on the likelihood ratio; the mean number of observations
// between false alarms at level h is at least e^h (Lorden 1971).
func Reflect(level, step float64) float64 { return max(0, level+step) }

// PoissonTail returns P(X >= x) of a Poisson variable of mean lambda.
func PoissonTail(lambda float64, x int) float64 {
	if x <= 0 {
		return 1
	}
	if lambda <= 0 {
		return 0
	}
	// Summed upward from x, so that small tails keep their digits.
	lg, _ := math.Lgamma(float64(x) + 1)
	term := math.Exp(float64(x)*math.Log(lambda) - lambda - lg)
	sum := 0.0
	for k := x; ; k++ {
		sum += term
		term *= lambda / float64(k+1)
		if float64(k) > lambda && term <= sum*1e-17 {
			return min(1, sum)
		}
	}
}
