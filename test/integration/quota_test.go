package integration

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"jupyter-user.io/jupyter-user-webhook/test/controlplane"
	"jupyter-user.io/jupyter-user-webhook/webhook/config"
)

// TestQuotasAndLimits creates notebooks under ResourceQuotas and LimitRanges.
func TestQuotasAndLimits(t *testing.T) {
	t.Parallel()
	e := startEnforced(t, controlplane.Options{})
	for name, test := range map[string]func(*testing.T, *enforced){
		"a quota includes the injected resources":              quotaCounts,
		"a quota and a container without resources":            quotaWithoutResources,
		"a quota and the resources of a whole pod":             quotaOfWholePods,
		"a quota and a LimitRange that sets only the CPU":      quotaAndLimitRange,
		"a LimitRange's defaults":                              limitRangeDefaults,
		"a LimitRange's minimum":                               limitRangeMinimum,
		"a LimitRange's maximum":                               limitRangeMaximum,
		"a LimitRange's maximum of a whole pod":                limitRangeOfPods,
		"a LimitRange's greatest ratio":                        limitRangeRatio,
		"a LimitRange's greatest ratio that the defaults meet": limitRangeRatioMet,
		"a LimitRange's ratio of one":                          limitRangeEqualRequests,
		"a pod of the class Guaranteed stays one":              guaranteedStays,
	} {
		t.Run(name, func(t *testing.T) { test(t, e) })
	}
}

// fullQuota limits the number of Pods, and the CPU, memory and ephemeral storage of requests and limits.
var fullQuota = quantities("pods=10 requests.cpu=4 requests.memory=8Gi limits.cpu=8 limits.memory=16Gi " +
	"requests.ephemeral-storage=10Gi limits.ephemeral-storage=10Gi")

// createQuota creates a namespace with a ResourceQuota and waits until the quota is in effect. The API server reads the
// limits from the status. No controller manager runs here, so the test writes the status.
func (e *enforced) createQuota(t *testing.T, namespace string, hard corev1.ResourceList) {
	t.Helper()
	e.createEnforcing(t, namespace, podSecurityLabels("enforce=baseline"))
	quotas := e.admin.CoreV1().ResourceQuotas(namespace)
	quota, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "quota"}, Spec: corev1.ResourceQuotaSpec{Hard: hard},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	quota.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{}}
	for name := range hard {
		quota.Status.Used[name] = resource.MustParse("0")
	}
	_, err = quotas.UpdateStatus(t.Context(), quota, metav1.UpdateOptions{})
	require.NoError(t, err)
	ctx := t.Context()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.ErrorContains(c, create(ctx, e.admin, namespace, plainPod()), "must specify")
	}, wait, wait/1000)
}

// createLimitRange creates a namespace with a LimitRange.
func (e *enforced) createLimitRange(t *testing.T, namespace string, items ...corev1.LimitRangeItem) {
	t.Helper()
	e.createEnforcing(t, namespace, podSecurityLabels("enforce=baseline"))
	e.createLimits(t, namespace, items...)
}

// createLimits creates a LimitRange in a namespace and waits until it is in effect.
func (e *enforced) createLimits(t *testing.T, namespace string, items ...corev1.LimitRangeItem) {
	t.Helper()
	for i := range items {
		if items[i].Type == "" {
			items[i].Type = corev1.LimitTypeContainer
		}
	}
	// A limit for claims is added. When a large claim is denied, the LimitRange is in effect.
	items = append(items, corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Max: quantities("storage=1Mi")})
	_, err := e.admin.CoreV1().LimitRanges(namespace).Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Name: "limits"}, Spec: corev1.LimitRangeSpec{Limits: items},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "marker"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: quantities("storage=1Gi")},
		},
	}
	ctx := t.Context()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := e.admin.CoreV1().PersistentVolumeClaims(namespace).Create(ctx, claim,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		assert.ErrorContains(c, err, "maximum storage usage")
	}, wait, wait/1000)
}

// used returns the used resources in a quota's status.
func (e *enforced) used(t *testing.T, namespace string) map[string]string {
	t.Helper()
	quota, err := e.admin.CoreV1().ResourceQuotas(namespace).Get(t.Context(), "quota", metav1.GetOptions{})
	require.NoError(t, err)
	return canonicalTexts(quota.Status.Used)
}

// withResources sets the resources of the notebook container.
func withResources(requests, limits string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.Containers[0].Resources = resources(requests, limits) }
}

// quotaCounts tests which resources a quota's status shows as used. The webhook adds resources to the notebook container
// and the init container. For each resource, the quota counts either the sum over the containers or the init container,
// whichever is larger.
func quotaCounts(t *testing.T, e *enforced) {
	e.createQuota(t, "counts", fullQuota)
	for _, user := range slices.Sorted(maps.Values(userOfDiscovery)) {
		pod := e.assertAdmitted(t, e.createStored(t, "counts", labelledPod(user)))
		assert.Equal(t, resources("cpu=10m memory=16Mi", "cpu=100m memory=32Mi"), pod.Spec.InitContainers[0].Resources)
		assert.Equal(t, resources("cpu=1 memory=2Gi", "cpu=2 memory=4Gi"), pod.Spec.Containers[0].Resources)
	}
	assert.Equal(t, map[string]string{
		"pods": "2", "requests.cpu": "2", "requests.memory": "4Gi", "limits.cpu": "4", "limits.memory": "8Gi",
		"requests.ephemeral-storage": "0", "limits.ephemeral-storage": "0",
	}, e.used(t, "counts"))

	e.assertAdmitted(t, e.createStored(t, "counts", labelledPod("alice", withResources("cpu=5m memory=8Mi", "cpu=50m memory=16Mi"))))
	assert.Equal(t, map[string]string{
		"pods": "3", "requests.cpu": "2010m", "requests.memory": "4112Mi", "limits.cpu": "4100m", "limits.memory": "8224Mi",
		"requests.ephemeral-storage": "0", "limits.ephemeral-storage": "0",
	}, e.used(t, "counts"))

	assertDeniedWith(t, e.createDry(t, "counts", labelledPod("alice", withResources("cpu=3 memory=1Gi", "cpu=3 memory=1Gi"))),
		"exceeded quota: quota", "requested: requests.cpu=3, used: requests.cpu=2010m, limited: requests.cpu=4")
}

// quotaWithoutResources tests containers to which the webhook adds no resources: a sidecar, a notebook container with
// requests, and the notebook container of a hub's Pod. The quota denies the Pod, as without the webhook, and the message
// names the container.
func quotaWithoutResources(t *testing.T, e *enforced) {
	e.createQuota(t, "asks", fullQuota)
	withEachDiscovery(t, func(t *testing.T, user string) {
		const message = "must specify limits.cpu for: %; limits.memory for: %; requests.cpu for: %; requests.memory for: %"
		assertDeniedWith(t, e.createDry(t, "asks", labelledPod(user, withProxy)), replacePercent(message, "proxy"))
		assertDeniedWith(t, e.createDry(t, "asks", labelledPod(user, withResources("cpu=1 memory=1Gi", ""))),
			"must specify limits.cpu for: nb; limits.memory for: nb")
		hub := func(pod *corev1.Pod) {
			pod.Labels = map[string]string{"hub.jupyter.org/username": "user", "component": "singleuser-server"}
			pod.Annotations = map[string]string{"hub.jupyter.org/username": user}
		}
		assertDeniedWith(t, e.createDry(t, "asks", labelledPod(user, hub)), replacePercent(message, "nb"))
		made := e.createDry(t, "asks", labelledPod(user, hub, withResources("cpu=1 memory=1Gi", "cpu=1 memory=1Gi")))
		assert.NoError(t, made.err)
	})
}

// quotaOfWholePods tests a Pod that has resources as a whole (spec.resources). No container needs resources of its own, and
// the webhook adds none to the notebook container.
func quotaOfWholePods(t *testing.T, e *enforced) {
	whole := func(pod *corev1.Pod) { pod.Spec.Resources = new(resources("cpu=2 memory=2Gi", "cpu=2 memory=2Gi")) }
	e.createEnforcing(t, "whole-known", podSecurityLabels("enforce=baseline"))
	known := e.createDry(t, "whole-known", labelledPod("alice", whole))
	require.NoError(t, known.err)
	skipUnless(t, known.pod.Spec.Resources != nil)
	e.createQuota(t, "whole-pods", fullQuota)
	withEachDiscovery(t, func(t *testing.T, user string) {
		pod := e.assertAdmitted(t, e.createDry(t, "whole-pods", labelledPod(user, whole)))
		assert.Empty(t, pod.Spec.Containers[0].Resources)
	})
}

// quotaAndLimitRange tests a LimitRange that sets only the CPU, before the webhook runs. The webhook adds the memory, so
// that the Pod has both, as the quota requires.
func quotaAndLimitRange(t *testing.T, e *enforced) {
	e.createQuota(t, "less", fullQuota)
	e.createLimits(t, "less", corev1.LimitRangeItem{Default: quantities("cpu=1"), DefaultRequest: quantities("cpu=1")})
	withEachDiscovery(t, func(t *testing.T, user string) {
		pod := e.assertAdmitted(t, e.createDry(t, "less", labelledPod(user)))
		assert.Equal(t, resources("cpu=1 memory=2Gi", "cpu=1 memory=4Gi"), pod.Spec.Containers[0].Resources)
	})
}

// limitRangeDefaults tests that the verifier accepts resources that LimitRanger adds: to the notebook container before the
// webhook runs, and to our init container afterwards.
func limitRangeDefaults(t *testing.T, e *enforced) {
	e.createLimitRange(t, "defaults", corev1.LimitRangeItem{
		Default: quantities("cpu=3 memory=3Gi ephemeral-storage=1Gi"), DefaultRequest: quantities("cpu=250m memory=1Gi"),
	})
	withEachDiscovery(t, func(t *testing.T, user string) {
		pod := e.assertAdmitted(t, e.createStored(t, "defaults", labelledPod(user)))
		assert.Equal(t, resources("cpu=250m memory=1Gi ephemeral-storage=1Gi", "cpu=3 memory=3Gi ephemeral-storage=1Gi"),
			pod.Spec.Containers[0].Resources, "the notebook's")
		assert.Equal(t, resources("cpu=10m memory=16Mi ephemeral-storage=1Gi", "cpu=100m memory=32Mi ephemeral-storage=1Gi"),
			pod.Spec.InitContainers[0].Resources, "ours, where we say something")
		last := e.decisions(t, "defaults")
		assert.Equal(t, "verified", last[len(last)-1].Outcome)
	})
}

// limitRangeMinimum tests a LimitRange with a minimum above the requests of our init container. Notebooks are denied until
// an admin configures larger resources for the init container.
func limitRangeMinimum(t *testing.T, e *enforced) {
	e.createLimitRange(t, "minimum", corev1.LimitRangeItem{Min: quantities("cpu=50m memory=64Mi")})
	withEachDiscovery(t, func(t *testing.T, user string) {
		assertDeniedWith(t, e.createDry(t, "minimum", labelledPod(user)), "minimum cpu usage per Container is 50m, but request is 10m",
			"minimum memory usage per Container is 64Mi, but request is 16Mi")
	})
	e.configure(t, initResources("cpu=50m memory=64Mi", "cpu=100m memory=64Mi"))
	withEachDiscovery(t, func(t *testing.T, user string) { e.assertAdmitted(t, e.createDry(t, "minimum", labelledPod(user))) })
}

// limitRangeMaximum tests a LimitRange with only a maximum. LimitRanger also sets the maximum as the requests and limits of
// containers without resources.
func limitRangeMaximum(t *testing.T, e *enforced) {
	e.createLimitRange(t, "maximum", corev1.LimitRangeItem{Max: quantities("cpu=1 memory=3Gi")})
	withEachDiscovery(t, func(t *testing.T, user string) {
		pod := e.assertAdmitted(t, e.createDry(t, "maximum", labelledPod(user)))
		assert.Equal(t, resources("cpu=1 memory=3Gi", "cpu=1 memory=3Gi"), pod.Spec.Containers[0].Resources)
		assertDeniedWith(t, e.createDry(t, "maximum", labelledPod(user, withResources("cpu=1 memory=4Gi", "cpu=1 memory=4Gi"))),
			"maximum memory usage per Container is 3Gi, but limit is 4Gi")
	})
}

// limitRangeOfPods tests a LimitRange for whole Pods. The API server does not add the resources of the init container to
// those of the notebook container. It compares the larger of both with the LimitRange.
func limitRangeOfPods(t *testing.T, e *enforced) {
	e.createLimitRange(t, "pods", corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: quantities("cpu=2 memory=4Gi")})
	withEachDiscovery(t, func(t *testing.T, user string) { e.assertAdmitted(t, e.createDry(t, "pods", labelledPod(user))) })
}

func limitRangeRatio(t *testing.T, e *enforced) {
	e.createLimitRange(t, "ratio", corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("cpu=4 memory=4")})
	withEachDiscovery(t, func(t *testing.T, user string) {
		assertDeniedWith(t, e.createDry(t, "ratio", labelledPod(user)), "cpu max limit to request ratio per Container is 4, but provided ratio is 10")
	})
	e.configure(t, initResources("cpu=25m memory=16Mi", "cpu=100m memory=32Mi"))
	withEachDiscovery(t, func(t *testing.T, user string) { e.assertAdmitted(t, e.createDry(t, "ratio", labelledPod(user))) })
}

func limitRangeRatioMet(t *testing.T, e *enforced) {
	e.createLimitRange(t, "ratio-met", corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("cpu=10 memory=2")})
	withEachDiscovery(t, func(t *testing.T, user string) { e.assertAdmitted(t, e.createDry(t, "ratio-met", labelledPod(user))) })
}

// limitRangeEqualRequests tests a LimitRange with a maximal ratio of limit to request of one. Each container's requests
// must then equal its limits, as in Pods of the class Guaranteed.
func limitRangeEqualRequests(t *testing.T, e *enforced) {
	e.createLimitRange(t, "ratio-of-one", corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("cpu=1 memory=1")})
	withEachDiscovery(t, func(t *testing.T, user string) {
		assertDeniedWith(t, e.createDry(t, "ratio-of-one", labelledPod(user)), "cpu max limit to request ratio per Container is 1")
		e.assertAdmitted(t, e.createDry(t, "ratio-of-one", labelledPod(user, withResources("", "cpu=1 memory=1Gi"))))
	})
	e.configure(t, func(c *config.Config) { c.Notebook.Resources.Requests = c.Notebook.Resources.Limits })
	withEachDiscovery(t, func(t *testing.T, user string) {
		pod := e.assertAdmitted(t, e.createStored(t, "ratio-of-one", labelledPod(user)))
		assert.Equal(t, corev1.PodQOSGuaranteed, pod.Status.QOSClass)
	})
}

// guaranteedStays tests that a Pod of the class Guaranteed keeps this class. If our init container requested less than its
// limit, the Pod would become Burstable.
func guaranteedStays(t *testing.T, e *enforced) {
	e.createEnforcing(t, "classes", podSecurityLabels("enforce=baseline"))
	withEachDiscovery(t, func(t *testing.T, user string) {
		pod := e.assertAdmitted(t, e.createStored(t, "classes", labelledPod(user, withResources("cpu=2 memory=1Gi", "cpu=2000m memory=1024Mi"))))
		assert.Equal(t, corev1.PodQOSGuaranteed, pod.Status.QOSClass)
		assert.Equal(t, resources("cpu=100m memory=32Mi", "cpu=100m memory=32Mi"), pod.Spec.InitContainers[0].Resources)

		pod = e.assertAdmitted(t, e.createStored(t, "classes", labelledPod(user, withResources("", "cpu=2 memory=1Gi"), withProxy)))
		assert.Equal(t, corev1.PodQOSBurstable, pod.Status.QOSClass, "the class is the same as without the webhook")
		assert.Equal(t, resources("cpu=10m memory=16Mi", "cpu=100m memory=32Mi"), pod.Spec.InitContainers[0].Resources)
	})
}

func initResources(requests, limits string) func(*config.Config) {
	return func(c *config.Config) {
		c.Init.Resources = config.Resources{Requests: quantities(requests), Limits: quantities(limits)}
	}
}
