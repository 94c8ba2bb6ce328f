module @step {
  func.func public @main(%arg0: tensor<2x1x3x3x3xf32> {tf.aliasing_output = 7 : i32}, %arg1: tensor<2xf32> {tf.aliasing_output = 10 : i32}, %arg2: tensor<2xf32> {tf.aliasing_output = 13 : i32}, %arg3: tensor<2xf32> {tf.aliasing_output = 22 : i32}, %arg4: tensor<2xf32> {tf.aliasing_output = 23 : i32}, %arg5: tensor<f32> {tf.aliasing_output = 24 : i32}, %arg6: tensor<3x2xf32> {tf.aliasing_output = 16 : i32}, %arg7: tensor<3xf32> {tf.aliasing_output = 19 : i32}, %arg8: tensor<2x1x3x3x3xf32> {tf.aliasing_output = 8 : i32}, %arg9: tensor<2xf32> {tf.aliasing_output = 11 : i32}, %arg10: tensor<2xf32> {tf.aliasing_output = 14 : i32}, %arg11: tensor<3x2xf32> {tf.aliasing_output = 17 : i32}, %arg12: tensor<3xf32> {tf.aliasing_output = 20 : i32}, %arg13: tensor<2x1x3x3x3xf32> {tf.aliasing_output = 9 : i32}, %arg14: tensor<2xf32> {tf.aliasing_output = 12 : i32}, %arg15: tensor<2xf32> {tf.aliasing_output = 15 : i32}, %arg16: tensor<3x2xf32> {tf.aliasing_output = 18 : i32}, %arg17: tensor<3xf32> {tf.aliasing_output = 21 : i32}, %arg18: tensor<2x1x4x4x4xf32>, %arg19: tensor<2xi32>, %arg20: tensor<3xf32>) -> (tensor<f32>, tensor<f32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>) {
    // conv (conv)
    %0 = stablehlo.convert %arg18 : (tensor<2x1x4x4x4xf32>) -> tensor<2x1x4x4x4xbf16>
    %1 = stablehlo.convert %arg0 : (tensor<2x1x3x3x3xf32>) -> tensor<2x1x3x3x3xbf16>
    %2 = stablehlo.convolution(%0, %1) dim_numbers = [b, f, 0, 1, 2]x[o, i, 0, 1, 2]->[b, f, 0, 1, 2], window = {stride = [2, 2, 2], pad = [[1, 1], [1, 1], [1, 1]], lhs_dilate = [1, 1, 1], rhs_dilate = [1, 1, 1]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x1x4x4x4xbf16>, tensor<2x1x3x3x3xbf16>) -> tensor<2x2x2x2x2xbf16>
    %3 = stablehlo.convert %2 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %4 = stablehlo.convert %3 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    // norm (batchnorm)
    %5 = stablehlo.convert %4 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %6 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %7 = stablehlo.reduce(%5 init: %6) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %8 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %9 = stablehlo.multiply %7, %8 : tensor<2xf32>
    %10 = stablehlo.broadcast_in_dim %9, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %11 = stablehlo.subtract %5, %10 : tensor<2x2x2x2x2xf32>
    %12 = stablehlo.multiply %11, %11 : tensor<2x2x2x2x2xf32>
    %13 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %14 = stablehlo.reduce(%12 init: %13) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %15 = stablehlo.constant dense<6.250000000e-02> : tensor<2xf32>
    %16 = stablehlo.multiply %14, %15 : tensor<2xf32>
    %17 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %18 = stablehlo.multiply %9, %17 : tensor<2xf32>
    %19 = stablehlo.subtract %18, %arg3 : tensor<2xf32>
    %20 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %21 = stablehlo.multiply %19, %20 : tensor<2xf32>
    %22 = stablehlo.add %arg3, %21 : tensor<2xf32>
    %23 = stablehlo.constant dense<1.066666667e+00> : tensor<2xf32>
    %24 = stablehlo.multiply %16, %23 : tensor<2xf32>
    %25 = stablehlo.subtract %24, %arg4 : tensor<2xf32>
    %26 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %27 = stablehlo.multiply %25, %26 : tensor<2xf32>
    %28 = stablehlo.add %arg4, %27 : tensor<2xf32>
    %29 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %30 = stablehlo.add %arg5, %29 : tensor<f32>
    %31 = stablehlo.constant dense<1.000000000e-05> : tensor<2xf32>
    %32 = stablehlo.add %16, %31 : tensor<2xf32>
    %33 = stablehlo.rsqrt %32 : tensor<2xf32>
    %34 = stablehlo.multiply %33, %arg1 : tensor<2xf32>
    %35 = stablehlo.broadcast_in_dim %34, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %36 = stablehlo.multiply %11, %35 : tensor<2x2x2x2x2xf32>
    %37 = stablehlo.broadcast_in_dim %arg2, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %38 = stablehlo.add %36, %37 : tensor<2x2x2x2x2xf32>
    %39 = stablehlo.convert %38 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    // act (relu)
    %40 = stablehlo.convert %39 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %41 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %42 = stablehlo.maximum %40, %41 : tensor<2x2x2x2x2xf32>
    %43 = stablehlo.convert %42 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    // mean (avgpool)
    %44 = stablehlo.convert %43 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %45 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %46 = stablehlo.reduce(%44 init: %45) applies stablehlo.add across dimensions = [2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2x2xf32>
    %47 = stablehlo.constant dense<1.250000000e-01> : tensor<2x2xf32>
    %48 = stablehlo.multiply %46, %47 : tensor<2x2xf32>
    // fc (linear)
    %49 = stablehlo.convert %48 : (tensor<2x2xf32>) -> tensor<2x2xbf16>
    %50 = stablehlo.convert %arg6 : (tensor<3x2xf32>) -> tensor<3x2xbf16>
    %51 = stablehlo.dot_general %49, %50, contracting_dims = [1] x [1] : (tensor<2x2xbf16>, tensor<3x2xbf16>) -> tensor<2x3xf32>
    %52 = stablehlo.broadcast_in_dim %arg7, dims = [1] : (tensor<3xf32>) -> tensor<2x3xf32>
    %53 = stablehlo.add %51, %52 : tensor<2x3xf32>
    // loss (ce)
    %54 = stablehlo.constant dense<-100> : tensor<2xi32>
    %55 = stablehlo.compare NE, %arg19, %54, SIGNED : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi1>
    %56 = stablehlo.convert %55 : (tensor<2xi1>) -> tensor<2xf32>
    %57 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %58 = stablehlo.reduce(%53 init: %57) applies stablehlo.maximum across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %59 = stablehlo.constant dense<0xFF800000> : tensor<2xf32>
    %60 = stablehlo.compare GT, %58, %59, FLOAT : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
    %61 = stablehlo.constant dense<0.000000000e+00> : tensor<2xf32>
    %62 = stablehlo.select %60, %58, %61 : tensor<2xi1>, tensor<2xf32>
    %63 = stablehlo.broadcast_in_dim %62, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %64 = stablehlo.subtract %53, %63 : tensor<2x3xf32>
    %65 = stablehlo.exponential %64 : tensor<2x3xf32>
    %66 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %67 = stablehlo.reduce(%65 init: %66) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %68 = stablehlo.log %67 : tensor<2xf32>
    %69 = stablehlo.broadcast_in_dim %68, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %70 = stablehlo.subtract %64, %69 : tensor<2x3xf32>
    %71 = stablehlo.iota dim = 1 : tensor<2x3xi32>
    %72 = stablehlo.broadcast_in_dim %arg19, dims = [0] : (tensor<2xi32>) -> tensor<2x3xi32>
    %73 = stablehlo.compare EQ, %71, %72, SIGNED : (tensor<2x3xi32>, tensor<2x3xi32>) -> tensor<2x3xi1>
    %74 = stablehlo.convert %73 : (tensor<2x3xi1>) -> tensor<2x3xf32>
    %75 = stablehlo.constant dense<1.000000000e+00> : tensor<2x3xf32>
    %76 = stablehlo.multiply %74, %75 : tensor<2x3xf32>
    %77 = stablehlo.constant dense<0.000000000e+00> : tensor<2x3xf32>
    %78 = stablehlo.add %76, %77 : tensor<2x3xf32>
    %79 = stablehlo.multiply %70, %78 : tensor<2x3xf32>
    %80 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %81 = stablehlo.reduce(%79 init: %80) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %82 = stablehlo.multiply %81, %56 : tensor<2xf32>
    %83 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %84 = stablehlo.reduce(%82 init: %83) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %85 = stablehlo.constant dense<-1.000000000e+00> : tensor<f32>
    %86 = stablehlo.multiply %84, %85 : tensor<f32>
    %87 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %88 = stablehlo.reduce(%56 init: %87) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %89 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %90 = stablehlo.maximum %88, %89 : tensor<f32>
    %91 = stablehlo.divide %86, %90 : tensor<f32>
    // gradients
    %92 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %93 = stablehlo.divide %92, %90 : tensor<f32>
    %94 = stablehlo.multiply %93, %85 : tensor<f32>
    %95 = stablehlo.broadcast_in_dim %94, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %96 = stablehlo.multiply %95, %56 : tensor<2xf32>
    %97 = stablehlo.broadcast_in_dim %96, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %98 = stablehlo.multiply %97, %78 : tensor<2x3xf32>
    %99 = stablehlo.negate %98 : tensor<2x3xf32>
    %100 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %101 = stablehlo.reduce(%99 init: %100) applies stablehlo.add across dimensions = [1] : (tensor<2x3xf32>, tensor<f32>) -> tensor<2xf32>
    %102 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %103 = stablehlo.divide %102, %67 : tensor<2xf32>
    %104 = stablehlo.multiply %101, %103 : tensor<2xf32>
    %105 = stablehlo.broadcast_in_dim %104, dims = [0] : (tensor<2xf32>) -> tensor<2x3xf32>
    %106 = stablehlo.multiply %105, %65 : tensor<2x3xf32>
    %107 = stablehlo.add %98, %106 : tensor<2x3xf32>
    %108 = stablehlo.negate %107 : tensor<2x3xf32>
    %109 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %110 = stablehlo.reduce(%107 init: %109) applies stablehlo.add across dimensions = [0] : (tensor<2x3xf32>, tensor<f32>) -> tensor<3xf32>
    %111 = stablehlo.convert %107 : (tensor<2x3xf32>) -> tensor<2x3xbf16>
    %112 = stablehlo.convert %arg6 : (tensor<3x2xf32>) -> tensor<3x2xbf16>
    %113 = stablehlo.dot_general %111, %112, contracting_dims = [1] x [0] : (tensor<2x3xbf16>, tensor<3x2xbf16>) -> tensor<2x2xf32>
    %114 = stablehlo.convert %107 : (tensor<2x3xf32>) -> tensor<2x3xbf16>
    %115 = stablehlo.convert %48 : (tensor<2x2xf32>) -> tensor<2x2xbf16>
    %116 = stablehlo.dot_general %114, %115, contracting_dims = [0] x [0] : (tensor<2x3xbf16>, tensor<2x2xbf16>) -> tensor<3x2xf32>
    %117 = stablehlo.multiply %113, %47 : tensor<2x2xf32>
    %118 = stablehlo.broadcast_in_dim %117, dims = [0, 1] : (tensor<2x2xf32>) -> tensor<2x2x2x2x2xf32>
    %119 = stablehlo.convert %118 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %120 = stablehlo.convert %119 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %121 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %122 = stablehlo.compare GT, %42, %121, FLOAT : (tensor<2x2x2x2x2xf32>, tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xi1>
    %123 = stablehlo.constant dense<0.000000000e+00> : tensor<2x2x2x2x2xf32>
    %124 = stablehlo.select %122, %120, %123 : tensor<2x2x2x2x2xi1>, tensor<2x2x2x2x2xf32>
    %125 = stablehlo.convert %124 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %126 = stablehlo.convert %125 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %127 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %128 = stablehlo.reduce(%126 init: %127) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %129 = stablehlo.multiply %126, %35 : tensor<2x2x2x2x2xf32>
    %130 = stablehlo.multiply %126, %11 : tensor<2x2x2x2x2xf32>
    %131 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %132 = stablehlo.reduce(%130 init: %131) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %133 = stablehlo.multiply %132, %arg1 : tensor<2xf32>
    %134 = stablehlo.multiply %132, %33 : tensor<2xf32>
    %135 = stablehlo.constant dense<-5.000000000e-01> : tensor<2xf32>
    %136 = stablehlo.multiply %33, %33 : tensor<2xf32>
    %137 = stablehlo.multiply %33, %136 : tensor<2xf32>
    %138 = stablehlo.multiply %135, %137 : tensor<2xf32>
    %139 = stablehlo.multiply %133, %138 : tensor<2xf32>
    %140 = stablehlo.multiply %139, %15 : tensor<2xf32>
    %141 = stablehlo.broadcast_in_dim %140, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %142 = stablehlo.multiply %141, %11 : tensor<2x2x2x2x2xf32>
    %143 = stablehlo.add %129, %142 : tensor<2x2x2x2x2xf32>
    %144 = stablehlo.multiply %141, %11 : tensor<2x2x2x2x2xf32>
    %145 = stablehlo.add %143, %144 : tensor<2x2x2x2x2xf32>
    %146 = stablehlo.negate %145 : tensor<2x2x2x2x2xf32>
    %147 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %148 = stablehlo.reduce(%146 init: %147) applies stablehlo.add across dimensions = [0, 2, 3, 4] : (tensor<2x2x2x2x2xf32>, tensor<f32>) -> tensor<2xf32>
    %149 = stablehlo.multiply %148, %8 : tensor<2xf32>
    %150 = stablehlo.broadcast_in_dim %149, dims = [1] : (tensor<2xf32>) -> tensor<2x2x2x2x2xf32>
    %151 = stablehlo.add %145, %150 : tensor<2x2x2x2x2xf32>
    %152 = stablehlo.convert %151 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %153 = stablehlo.convert %152 : (tensor<2x2x2x2x2xbf16>) -> tensor<2x2x2x2x2xf32>
    %154 = stablehlo.convert %153 : (tensor<2x2x2x2x2xf32>) -> tensor<2x2x2x2x2xbf16>
    %155 = stablehlo.convolution(%0, %154) dim_numbers = [f, b, 0, 1, 2]x[i, o, 0, 1, 2]->[f, b, 0, 1, 2], window = {stride = [1, 1, 1], pad = [[1, 0], [1, 0], [1, 0]], lhs_dilate = [1, 1, 1], rhs_dilate = [2, 2, 2]} {batch_group_count = 1 : i64, feature_group_count = 1 : i64} : (tensor<2x1x4x4x4xbf16>, tensor<2x2x2x2x2xbf16>) -> tensor<2x1x3x3x3xbf16>
    %156 = stablehlo.convert %155 : (tensor<2x1x3x3x3xbf16>) -> tensor<2x1x3x3x3xf32>
    // optimiser
    %157 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %158 = stablehlo.multiply %156, %156 : tensor<2x1x3x3x3xf32>
    %159 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %160 = stablehlo.reduce(%158 init: %159) applies stablehlo.add across dimensions = [0, 1, 2, 3, 4] : (tensor<2x1x3x3x3xf32>, tensor<f32>) -> tensor<f32>
    %161 = stablehlo.add %157, %160 : tensor<f32>
    %162 = stablehlo.multiply %134, %134 : tensor<2xf32>
    %163 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %164 = stablehlo.reduce(%162 init: %163) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %165 = stablehlo.add %161, %164 : tensor<f32>
    %166 = stablehlo.multiply %128, %128 : tensor<2xf32>
    %167 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %168 = stablehlo.reduce(%166 init: %167) applies stablehlo.add across dimensions = [0] : (tensor<2xf32>, tensor<f32>) -> tensor<f32>
    %169 = stablehlo.add %165, %168 : tensor<f32>
    %170 = stablehlo.multiply %116, %116 : tensor<3x2xf32>
    %171 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %172 = stablehlo.reduce(%170 init: %171) applies stablehlo.add across dimensions = [0, 1] : (tensor<3x2xf32>, tensor<f32>) -> tensor<f32>
    %173 = stablehlo.add %169, %172 : tensor<f32>
    %174 = stablehlo.multiply %110, %110 : tensor<3xf32>
    %175 = stablehlo.constant dense<0.000000000e+00> : tensor<f32>
    %176 = stablehlo.reduce(%174 init: %175) applies stablehlo.add across dimensions = [0] : (tensor<3xf32>, tensor<f32>) -> tensor<f32>
    %177 = stablehlo.add %173, %176 : tensor<f32>
    %178 = stablehlo.sqrt %177 : tensor<f32>
    %179 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %180 = stablehlo.constant dense<1.000000000e+00> : tensor<f32>
    %181 = stablehlo.compare GT, %178, %180, FLOAT : (tensor<f32>, tensor<f32>) -> tensor<i1>
    %182 = stablehlo.constant dense<1.000000000e-06> : tensor<f32>
    %183 = stablehlo.add %178, %182 : tensor<f32>
    %184 = stablehlo.divide %180, %183 : tensor<f32>
    %185 = stablehlo.select %181, %184, %179 : tensor<i1>, tensor<f32>
    %186 = stablehlo.broadcast_in_dim %185, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %187 = stablehlo.multiply %156, %186 : tensor<2x1x3x3x3xf32>
    %188 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %189 = stablehlo.reshape %188 : (tensor<1xf32>) -> tensor<f32>
    %190 = stablehlo.broadcast_in_dim %189, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %191 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %192 = stablehlo.reshape %191 : (tensor<1xf32>) -> tensor<f32>
    %193 = stablehlo.broadcast_in_dim %192, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %194 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %195 = stablehlo.reshape %194 : (tensor<1xf32>) -> tensor<f32>
    %196 = stablehlo.broadcast_in_dim %195, dims = [] : (tensor<f32>) -> tensor<2x1x3x3x3xf32>
    %197 = stablehlo.constant dense<9.000000000e-01> : tensor<2x1x3x3x3xf32>
    %198 = stablehlo.multiply %197, %arg8 : tensor<2x1x3x3x3xf32>
    %199 = stablehlo.constant dense<1.000000000e-01> : tensor<2x1x3x3x3xf32>
    %200 = stablehlo.multiply %199, %187 : tensor<2x1x3x3x3xf32>
    %201 = stablehlo.add %198, %200 : tensor<2x1x3x3x3xf32>
    %202 = stablehlo.multiply %187, %187 : tensor<2x1x3x3x3xf32>
    %203 = stablehlo.constant dense<9.990000000e-01> : tensor<2x1x3x3x3xf32>
    %204 = stablehlo.multiply %203, %arg13 : tensor<2x1x3x3x3xf32>
    %205 = stablehlo.constant dense<1.000000000e-03> : tensor<2x1x3x3x3xf32>
    %206 = stablehlo.multiply %205, %202 : tensor<2x1x3x3x3xf32>
    %207 = stablehlo.add %204, %206 : tensor<2x1x3x3x3xf32>
    %208 = stablehlo.constant dense<1.000000000e+00> : tensor<2x1x3x3x3xf32>
    %209 = stablehlo.constant dense<1.000000000e-01> : tensor<2x1x3x3x3xf32>
    %210 = stablehlo.multiply %190, %209 : tensor<2x1x3x3x3xf32>
    %211 = stablehlo.subtract %208, %210 : tensor<2x1x3x3x3xf32>
    %212 = stablehlo.sqrt %207 : tensor<2x1x3x3x3xf32>
    %213 = stablehlo.multiply %212, %196 : tensor<2x1x3x3x3xf32>
    %214 = stablehlo.constant dense<1.000000000e-08> : tensor<2x1x3x3x3xf32>
    %215 = stablehlo.add %213, %214 : tensor<2x1x3x3x3xf32>
    %216 = stablehlo.constant dense<1.000000000e+00> : tensor<2x1x3x3x3xf32>
    %217 = stablehlo.multiply %193, %216 : tensor<2x1x3x3x3xf32>
    %218 = stablehlo.multiply %217, %201 : tensor<2x1x3x3x3xf32>
    %219 = stablehlo.divide %218, %215 : tensor<2x1x3x3x3xf32>
    %220 = stablehlo.multiply %211, %arg0 : tensor<2x1x3x3x3xf32>
    %221 = stablehlo.subtract %220, %219 : tensor<2x1x3x3x3xf32>
    %222 = stablehlo.broadcast_in_dim %185, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %223 = stablehlo.multiply %134, %222 : tensor<2xf32>
    %224 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %225 = stablehlo.reshape %224 : (tensor<1xf32>) -> tensor<f32>
    %226 = stablehlo.broadcast_in_dim %225, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %227 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %228 = stablehlo.reshape %227 : (tensor<1xf32>) -> tensor<f32>
    %229 = stablehlo.broadcast_in_dim %228, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %230 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %231 = stablehlo.reshape %230 : (tensor<1xf32>) -> tensor<f32>
    %232 = stablehlo.broadcast_in_dim %231, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %233 = stablehlo.constant dense<9.000000000e-01> : tensor<2xf32>
    %234 = stablehlo.multiply %233, %arg9 : tensor<2xf32>
    %235 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %236 = stablehlo.multiply %235, %223 : tensor<2xf32>
    %237 = stablehlo.add %234, %236 : tensor<2xf32>
    %238 = stablehlo.multiply %223, %223 : tensor<2xf32>
    %239 = stablehlo.constant dense<9.990000000e-01> : tensor<2xf32>
    %240 = stablehlo.multiply %239, %arg14 : tensor<2xf32>
    %241 = stablehlo.constant dense<1.000000000e-03> : tensor<2xf32>
    %242 = stablehlo.multiply %241, %238 : tensor<2xf32>
    %243 = stablehlo.add %240, %242 : tensor<2xf32>
    %244 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %245 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %246 = stablehlo.multiply %226, %245 : tensor<2xf32>
    %247 = stablehlo.subtract %244, %246 : tensor<2xf32>
    %248 = stablehlo.sqrt %243 : tensor<2xf32>
    %249 = stablehlo.multiply %248, %232 : tensor<2xf32>
    %250 = stablehlo.constant dense<1.000000000e-08> : tensor<2xf32>
    %251 = stablehlo.add %249, %250 : tensor<2xf32>
    %252 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %253 = stablehlo.multiply %229, %252 : tensor<2xf32>
    %254 = stablehlo.multiply %253, %237 : tensor<2xf32>
    %255 = stablehlo.divide %254, %251 : tensor<2xf32>
    %256 = stablehlo.multiply %247, %arg1 : tensor<2xf32>
    %257 = stablehlo.subtract %256, %255 : tensor<2xf32>
    %258 = stablehlo.broadcast_in_dim %185, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %259 = stablehlo.multiply %128, %258 : tensor<2xf32>
    %260 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %261 = stablehlo.reshape %260 : (tensor<1xf32>) -> tensor<f32>
    %262 = stablehlo.broadcast_in_dim %261, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %263 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %264 = stablehlo.reshape %263 : (tensor<1xf32>) -> tensor<f32>
    %265 = stablehlo.broadcast_in_dim %264, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %266 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %267 = stablehlo.reshape %266 : (tensor<1xf32>) -> tensor<f32>
    %268 = stablehlo.broadcast_in_dim %267, dims = [] : (tensor<f32>) -> tensor<2xf32>
    %269 = stablehlo.constant dense<9.000000000e-01> : tensor<2xf32>
    %270 = stablehlo.multiply %269, %arg10 : tensor<2xf32>
    %271 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %272 = stablehlo.multiply %271, %259 : tensor<2xf32>
    %273 = stablehlo.add %270, %272 : tensor<2xf32>
    %274 = stablehlo.multiply %259, %259 : tensor<2xf32>
    %275 = stablehlo.constant dense<9.990000000e-01> : tensor<2xf32>
    %276 = stablehlo.multiply %275, %arg15 : tensor<2xf32>
    %277 = stablehlo.constant dense<1.000000000e-03> : tensor<2xf32>
    %278 = stablehlo.multiply %277, %274 : tensor<2xf32>
    %279 = stablehlo.add %276, %278 : tensor<2xf32>
    %280 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %281 = stablehlo.constant dense<1.000000000e-01> : tensor<2xf32>
    %282 = stablehlo.multiply %262, %281 : tensor<2xf32>
    %283 = stablehlo.subtract %280, %282 : tensor<2xf32>
    %284 = stablehlo.sqrt %279 : tensor<2xf32>
    %285 = stablehlo.multiply %284, %268 : tensor<2xf32>
    %286 = stablehlo.constant dense<1.000000000e-08> : tensor<2xf32>
    %287 = stablehlo.add %285, %286 : tensor<2xf32>
    %288 = stablehlo.constant dense<1.000000000e+00> : tensor<2xf32>
    %289 = stablehlo.multiply %265, %288 : tensor<2xf32>
    %290 = stablehlo.multiply %289, %273 : tensor<2xf32>
    %291 = stablehlo.divide %290, %287 : tensor<2xf32>
    %292 = stablehlo.multiply %283, %arg2 : tensor<2xf32>
    %293 = stablehlo.subtract %292, %291 : tensor<2xf32>
    %294 = stablehlo.broadcast_in_dim %185, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %295 = stablehlo.multiply %116, %294 : tensor<3x2xf32>
    %296 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %297 = stablehlo.reshape %296 : (tensor<1xf32>) -> tensor<f32>
    %298 = stablehlo.broadcast_in_dim %297, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %299 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %300 = stablehlo.reshape %299 : (tensor<1xf32>) -> tensor<f32>
    %301 = stablehlo.broadcast_in_dim %300, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %302 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %303 = stablehlo.reshape %302 : (tensor<1xf32>) -> tensor<f32>
    %304 = stablehlo.broadcast_in_dim %303, dims = [] : (tensor<f32>) -> tensor<3x2xf32>
    %305 = stablehlo.constant dense<9.000000000e-01> : tensor<3x2xf32>
    %306 = stablehlo.multiply %305, %arg11 : tensor<3x2xf32>
    %307 = stablehlo.constant dense<1.000000000e-01> : tensor<3x2xf32>
    %308 = stablehlo.multiply %307, %295 : tensor<3x2xf32>
    %309 = stablehlo.add %306, %308 : tensor<3x2xf32>
    %310 = stablehlo.multiply %295, %295 : tensor<3x2xf32>
    %311 = stablehlo.constant dense<9.990000000e-01> : tensor<3x2xf32>
    %312 = stablehlo.multiply %311, %arg16 : tensor<3x2xf32>
    %313 = stablehlo.constant dense<1.000000000e-03> : tensor<3x2xf32>
    %314 = stablehlo.multiply %313, %310 : tensor<3x2xf32>
    %315 = stablehlo.add %312, %314 : tensor<3x2xf32>
    %316 = stablehlo.constant dense<1.000000000e+00> : tensor<3x2xf32>
    %317 = stablehlo.constant dense<1.000000000e-01> : tensor<3x2xf32>
    %318 = stablehlo.multiply %298, %317 : tensor<3x2xf32>
    %319 = stablehlo.subtract %316, %318 : tensor<3x2xf32>
    %320 = stablehlo.sqrt %315 : tensor<3x2xf32>
    %321 = stablehlo.multiply %320, %304 : tensor<3x2xf32>
    %322 = stablehlo.constant dense<1.000000000e-08> : tensor<3x2xf32>
    %323 = stablehlo.add %321, %322 : tensor<3x2xf32>
    %324 = stablehlo.constant dense<1.000000000e+00> : tensor<3x2xf32>
    %325 = stablehlo.multiply %301, %324 : tensor<3x2xf32>
    %326 = stablehlo.multiply %325, %309 : tensor<3x2xf32>
    %327 = stablehlo.divide %326, %323 : tensor<3x2xf32>
    %328 = stablehlo.multiply %319, %arg6 : tensor<3x2xf32>
    %329 = stablehlo.subtract %328, %327 : tensor<3x2xf32>
    %330 = stablehlo.broadcast_in_dim %185, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %331 = stablehlo.multiply %110, %330 : tensor<3xf32>
    %332 = stablehlo.slice %arg20 [0:1] : (tensor<3xf32>) -> tensor<1xf32>
    %333 = stablehlo.reshape %332 : (tensor<1xf32>) -> tensor<f32>
    %334 = stablehlo.broadcast_in_dim %333, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %335 = stablehlo.slice %arg20 [1:2] : (tensor<3xf32>) -> tensor<1xf32>
    %336 = stablehlo.reshape %335 : (tensor<1xf32>) -> tensor<f32>
    %337 = stablehlo.broadcast_in_dim %336, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %338 = stablehlo.slice %arg20 [2:3] : (tensor<3xf32>) -> tensor<1xf32>
    %339 = stablehlo.reshape %338 : (tensor<1xf32>) -> tensor<f32>
    %340 = stablehlo.broadcast_in_dim %339, dims = [] : (tensor<f32>) -> tensor<3xf32>
    %341 = stablehlo.constant dense<9.000000000e-01> : tensor<3xf32>
    %342 = stablehlo.multiply %341, %arg12 : tensor<3xf32>
    %343 = stablehlo.constant dense<1.000000000e-01> : tensor<3xf32>
    %344 = stablehlo.multiply %343, %331 : tensor<3xf32>
    %345 = stablehlo.add %342, %344 : tensor<3xf32>
    %346 = stablehlo.multiply %331, %331 : tensor<3xf32>
    %347 = stablehlo.constant dense<9.990000000e-01> : tensor<3xf32>
    %348 = stablehlo.multiply %347, %arg17 : tensor<3xf32>
    %349 = stablehlo.constant dense<1.000000000e-03> : tensor<3xf32>
    %350 = stablehlo.multiply %349, %346 : tensor<3xf32>
    %351 = stablehlo.add %348, %350 : tensor<3xf32>
    %352 = stablehlo.constant dense<1.000000000e+00> : tensor<3xf32>
    %353 = stablehlo.constant dense<1.000000000e-01> : tensor<3xf32>
    %354 = stablehlo.multiply %334, %353 : tensor<3xf32>
    %355 = stablehlo.subtract %352, %354 : tensor<3xf32>
    %356 = stablehlo.sqrt %351 : tensor<3xf32>
    %357 = stablehlo.multiply %356, %340 : tensor<3xf32>
    %358 = stablehlo.constant dense<1.000000000e-08> : tensor<3xf32>
    %359 = stablehlo.add %357, %358 : tensor<3xf32>
    %360 = stablehlo.constant dense<1.000000000e+00> : tensor<3xf32>
    %361 = stablehlo.multiply %337, %360 : tensor<3xf32>
    %362 = stablehlo.multiply %361, %345 : tensor<3xf32>
    %363 = stablehlo.divide %362, %359 : tensor<3xf32>
    %364 = stablehlo.multiply %355, %arg7 : tensor<3xf32>
    %365 = stablehlo.subtract %364, %363 : tensor<3xf32>
    return %91, %178, %156, %134, %128, %116, %110, %221, %201, %207, %257, %237, %243, %293, %273, %279, %329, %309, %315, %365, %345, %351, %22, %28, %30 : tensor<f32>, tensor<f32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2x1x3x3x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3x2xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<f32>
  }
}
