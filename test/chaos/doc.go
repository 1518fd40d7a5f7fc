// Package chaos tests the built program with failures around it: replicas that are replaced, killed, stopped or short of
// memory, clients that stall or send wrong data, and certificates that change. Some tests run one replica without an API
// server. The others have a real API server, which reaches the replicas through a proxy that treats connections like a
// Service (service_test.go). At the end of a run, a table shows what the tests have measured.
//
// make chaos runs the short form, for every change. make chaos LONG=1 runs the long form, for a release. The forms
// differ in durations, in numbers of repetitions and in limits (main_test.go).
//
// Some failures need no process and no API server. Unit tests test them, and this list names those tests too:
//
//	hostile reviews                           TestHostileReviews; each kind: TestMalformedReviews of webhook/server
//	large reviews                             TestHugeReviews, TestManyLargeReviews; each kind: TestTooLarge, TestLargestReview,
//	                                          TestLargeBodiesWait of webhook/server
//	reviews that take much memory             TestHostileReviewsWithinMemoryLimit
//	fuzzing                                   make fuzz: FuzzReview of webhook/server for whole requests, FuzzPods of test/property for
//	                                          patches, FuzzAgainstAdmissionWebhook for a comparison with controller-runtime; half an hour
//	                                          each in make release-check
//	Pods of Pod Security Admission's tests    TestPodSecurityAdmissionsOwnPods of test/property
//	injected twice, with a second webhook     TestRandomPods, TestRandomPodsWithSecondWebhook of test/property
//	fields of newer Kubernetes                TestUnknownFieldsAtEveryLevel of test/property
//	100 creates a second                      TestSteadyLoad
//	a burst                                   TestBurst
//	rolling restarts                          TestRollingRestarts
//	one of two replicas is killed             TestReplicaKilled
//	both replicas are down                    TestBothReplicasAreDown
//	another server in the webhook's place     TestStandIns
//	a share that hangs                        TestShareHangs of webhook/identity/share
//	a directory service that hangs            TestDirectoryServiceHangs; other faults: faults_test.go of webhook/identity/ldap
//	certificates                              TestCertificateRotation, TestWrongCertificate
//	stalled connections                       TestStalledConnections; each kind: TestStalledConnectionsAreClosed of webhook/server
//	no client certificate, wrong path         TestOnlyAcceptedClientsAreServed; more kinds: TestVerifyClient of certs,
//	or method, HTTP/2                         TestOtherPathsAndMethods, TestNegotiatesHTTP11 of webhook/server
//	hostile user names                        TestHostileNames of test/property, TestParseHostileNames of webhook/user
//	no egress, no credentials                 TestNoEgressAndNoCredentials
//	stopped during reviews                    TestStoppedDuringReviews; in one process: TestShutdownLosesNoReview of webhook/server
//	short of memory, processors, disk, time   TestLimitedResources
//
// No test changes the clock of a process. A clock that jumps has two effects: a certificate has expired or is not valid
// yet, and time limits end immediately. TestLimitedResources tests both.
package chaos
