# Without a provider, so that what is rendered can be looked at and run anywhere.
locals {
  # Printable, no quote, no backslash, no dollar: what a person writes, and nothing that a shell could take for more.
  reason = {
    type           = "String"
    description    = "Why, for the record: letters, digits, spaces and . , : _ / # @ ( ) + -, at most 200"
    allowedPattern = "^[A-Za-z0-9][A-Za-z0-9 .,:_/#@()+-]{0,199}$"
  }

  image = {
    type           = "String"
    description    = "NAME:TAG or NAME@sha256:…, such as 3h4xx/t0rn-collator:v1.2.0-rc.5"
    allowedPattern = "^[a-z0-9][A-Za-z0-9._/:-]{0,199}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$"
  }

  accept = {
    type          = "String"
    description   = "The worst health that ends with exit code 0"
    default       = "ok"
    allowedValues = ["ok", "degraded"]
  }

  documents = {
    status = {
      description = "How the collator is; exit code 0 ok, 1 degraded, 2 critical, 3 unknown or agent unreachable"
      parameters = {
        accept = local.accept
        format = {
          type          = "String"
          description   = "For people or for programs"
          default       = "text"
          allowedValues = ["text", "json"]
        }
      }
    }
    logs = {
      description = "The end of the collator's log; the newest 23,900 characters come back"
      parameters = {
        lines = {
          type          = "String"
          description   = "How many lines"
          default       = "200"
          allowedValues = ["50", "100", "200", "500", "1000"]
        }
      }
    }
    restart = {
      description = "Stop the collator cleanly and start it again"
      parameters  = { reason = local.reason }
    }
    pause = {
      description = "Suspend all automatic actions for a while; watching goes on"
      parameters = {
        duration = {
          type          = "String"
          description   = "For how long"
          default       = "1h"
          allowedValues = ["15m", "30m", "1h", "2h", "4h", "8h", "24h"]
        }
        reason = local.reason
      }
    }
    resume = {
      description = "End a pause, and let the agent try again what it had given up"
      parameters  = {}
    }
    update = {
      description = "Run another image, and take it back when it does no good; comes back at once, status shows what becomes of it"
      parameters  = { image = local.image }
    }
    update-wait = {
      description = "The same, and wait for the verdict: exit code 0 when the new image is kept and the collator is well"
      parameters  = { image = local.image, accept = local.accept }
      timeout     = 7200
    }
    incidents = {
      description = "What the agent did, why, and whether it helped: all that are kept, or one"
      parameters = {
        id = {
          type           = "String"
          description    = "One of the list, such as 20261122T225000Z-stalled; empty for the list"
          default        = ""
          allowedPattern = "^([0-9]{8}T[0-9]{6}Z-[a-z0-9_-]{1,60})?$"
        }
      }
    }
    check = {
      description = "Look at everything that makes a collator fail; changes nothing"
      parameters  = {}
    }
  }

  contents = {
    for name, document in local.documents : name => {
      schemaVersion = "2.2"
      description   = document.description
      parameters = {
        for parameter, properties in document.parameters : parameter =>
        merge(properties, { interpolationType = "ENV_VAR" })
      }
      mainSteps = [{
        action       = "aws:runShellScript"
        name         = name
        precondition = { StringEquals = ["platformType", "Linux"] }
        inputs = {
          timeoutSeconds = tostring(try(document.timeout, 120))
          runCommand     = split("\n", "${file("${path.module}/scripts/prelude.sh")}${file("${path.module}/scripts/${name}.sh")}")
        }
      }]
    }
  }
}
