using Alicia.Proxy.Hosting;

RuntimeDefaults.Apply();
return await CommandLine.RunAsync(args);
