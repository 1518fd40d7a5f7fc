// Package podsecurity finds the Pod Security level of a Pod with the checks of the API server's admission plugin. The command
// line uses it to explain a Pod, and the tests use it to check the levels of golden Pods.
package podsecurity

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	kjson "sigs.k8s.io/json"
)

// Level is the level of a Pod, and the reasons why the Pod does not meet the next stricter level.
type Level struct {
	// Meets is the strictest level that the Pod meets: restricted, baseline or privileged.
	Meets api.Level
	// Next is the next stricter level; empty if Meets is restricted.
	Next api.Level
	// Misses are the reasons why the Pod does not meet Next, in the words of k8s.io/pod-security-admission. The texts
	// contain names from the Pod, which are not escaped.
	Misses []string
}

// Levels finds the Pod Security levels of Pods. It is safe for concurrent use.
type Levels struct{ checks policy.Evaluator }

// NewLevels returns Levels that apply the newest version of each check in the library k8s.io/pod-security-admission.
func NewLevels() (*Levels, error) {
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, fmt.Errorf("the checks of Pod Security: %w", err)
	}
	return &Levels{checks}, nil
}

// Of returns the level of a Pod. raw is the Pod as JSON.
func (l *Levels) Of(raw []byte) (Level, error) {
	pod := &corev1.Pod{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, pod); err != nil {
		return Level{}, fmt.Errorf("an API server could not read this Pod: %w", err)
	}
	return l.OfPod(pod), nil
}

// OfPod does the same as Of, for a Pod that is decoded already.
func (l *Levels) OfPod(pod *corev1.Pod) Level {
	level := Level{Meets: api.LevelRestricted}
	for _, next := range []api.Level{api.LevelRestricted, api.LevelBaseline} {
		misses := l.misses(next, pod)
		if len(misses) == 0 {
			return level
		}
		level = Level{Meets: looser(next), Next: next, Misses: misses}
	}
	return level
}

// looser returns the next less strict level.
func looser(level api.Level) api.Level {
	if level == api.LevelRestricted {
		return api.LevelBaseline
	}
	return api.LevelPrivileged
}

func (l *Levels) misses(level api.Level, pod *corev1.Pod) (why []string) {
	at := api.LevelVersion{Level: level, Version: api.LatestVersion()}
	for _, result := range l.checks.EvaluatePod(at, &pod.ObjectMeta, &pod.Spec) {
		if result.Allowed {
			continue
		}
		reason := result.ForbiddenReason
		if result.ForbiddenDetail != "" {
			reason += " (" + result.ForbiddenDetail + ")"
		}
		why = append(why, reason)
	}
	return why
}
