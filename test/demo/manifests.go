package main

// shareManifests is the share's volume and claim. The NFS server does not exist. No kubelet runs in the demo, so nothing
// mounts the volume.
const shareManifests = `
apiVersion: v1
kind: PersistentVolume
metadata:
  name: hpc-pv
spec:
  capacity: {storage: 100Ti}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  mountOptions: [vers=3, hard, nolock, proto=tcp]
  nfs: {server: nfs.example.com, path: /hpc}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: hpc-shared-pvc
spec:
  resources: {requests: {storage: 100Ti}}
  accessModes: [ReadWriteMany]
  storageClassName: ""
  volumeName: hpc-pv
`

// wholeShare is a Pod that mounts the share without a subPath.
const wholeShare = `apiVersion: v1
kind: Pod
metadata:
  name: greedy
  labels:
    jupyter-user: qiang.guo03
spec:
  containers:
  - name: nb
    image: quay.io/jupyter/minimal-notebook
    volumeMounts:
    - name: whole-share
      mountPath: /whole-share
  volumes:
  - name: whole-share
    persistentVolumeClaim:
      claimName: hpc-shared-pvc
`
