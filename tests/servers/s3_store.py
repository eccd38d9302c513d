#!/usr/bin/env python3
"""An S3-speaking server on loopback that checks signatures, with one user and one empty bucket named `captures`.

Prints `listening on URL key ID secret SECRET` and serves until it is killed. Needs moto[s3], flask and flask-cors.
"""

import json
import os
import signal
import urllib.request

# Requests below this number are not checked: those that make the user.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "1000000"

import boto3
from moto.server import ThreadedMotoServer


def client(name, url, key="nobody", secret="nothing"):
    return boto3.client(
        name, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
    )


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    iam = client("iam", url)
    iam.create_user(UserName="recorder")
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="recorder", PolicyName="all", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="recorder")["AccessKey"]
    client("s3", url).create_bucket(Bucket="captures")
    checked = urllib.request.Request(
        url + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}, method="POST"
    )
    urllib.request.urlopen(checked).read()
    print(f"listening on {url} key {key['AccessKeyId']} secret {key['SecretAccessKey']}", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
